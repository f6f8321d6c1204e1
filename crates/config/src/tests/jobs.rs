//! Which job looks after which route.

use super::{from, refused};

#[test]
fn a_job_follows_the_only_route_and_must_name_one_that_exists() {
    let route = "[[inbox]]\nname = \"sales\"\ntopic = \"t\"\ngroup = \"g\"\n";
    assert_eq!(from(route).unwrap().config.reconcile[0].inbox, "sales");
    let text = refused(&format!("{route}[[reconcile]]\nname = \"r\"\ninbox = \"sale\"\n"));
    assert!(text.contains("did you mean `sales`?"), "{text}");
    assert_eq!(from("reconcile = []").unwrap().config.reconcile, []);
    assert_eq!(from(&format!("reconcile = []\n{route}")).unwrap().config.reconcile, []);
}

#[test]
fn each_route_has_a_job_whatever_other_routes_and_jobs_are_added() {
    let route = |name| format!("[[inbox]]\nname = \"{name}\"\ntopic = \"t\"\ngroup = \"{name}\"\n");
    let job = |name, inbox| {
        format!("[[reconcile]]\nname = \"{name}\"\ninbox = \"{inbox}\"\nevery = \"9m\"\n")
    };
    let jobs = |text: String| {
        let jobs = from(&text).unwrap().config.reconcile;
        let pairs = jobs.iter().map(|job| format!("{} {} {:?}", job.name, job.inbox, job.every));
        pairs.collect::<Vec<_>>()
    };
    let (sales, refunds) = (route("sales"), route("refunds"));
    assert_eq!(jobs(sales.clone() + &refunds), ["purchases sales 300s", "refunds refunds 300s"]);
    let unwatched = format!("{sales}reconcile = false\n{refunds}");
    assert_eq!(jobs(unwatched), ["refunds refunds 300s"]);
    // A job for the second route takes the first one's not away, nor the other way round.
    let of_refunds = sales.clone() + &refunds + &job("of-refunds", "refunds");
    assert_eq!(jobs(of_refunds), ["of-refunds refunds 540s", "purchases sales 300s"]);
    let of_sales = sales.clone() + &refunds + &job("purchases", "sales");
    assert_eq!(jobs(of_sales), ["purchases sales 540s", "refunds refunds 300s"]);
    // The shipped route keeps its job wherever it stands, and a name that is taken is not taken twice.
    let shipped = refunds.clone() + &route("purchase-confirmed");
    assert_eq!(jobs(shipped), ["refunds refunds 300s", "purchases purchase-confirmed 300s"]);
    let taken = sales + &refunds + &job("refunds", "sales");
    assert_eq!(jobs(taken), ["refunds sales 540s", "refunds-2 refunds 300s"]);
}

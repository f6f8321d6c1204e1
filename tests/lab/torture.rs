//! The proof's own proof: its judge names each fault that is planted, and a short round from a seed holds.

use std::process::Command;

fn torture(args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_makegood-lab"));
    let out = command.arg("torture").args(args).output().expect("the program runs");
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_judge_names_each_planted_fault() {
    let (all, said) = torture(&["--plants"]);
    assert!(all, "{said}");
    assert!(said.lines().filter(|line| line.starts_with("named")).count() >= 30, "{said}");
}

#[test]
fn a_short_round_of_crashes_and_lost_answers_holds() {
    let faults = [
        "--fault",
        "daemon-kill",
        "--fault",
        "commit-answer-lost",
        "--fault",
        "postgres-terminate",
    ];
    let (held, said) = torture(
        &[["--seed", "7", "--safety", "20", "--minutes", "0"].as_slice(), &faults].concat(),
    );
    assert!(held, "{said}");
    assert!(said.contains("1 rounds, 0 with broken invariants"), "{said}");
}

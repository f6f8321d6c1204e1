//! The shape of the code: who may use whom, what the rules may not touch, what each SQL file begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every file below a folder with one of the endings.
fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == ending) {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} files in {folder}");
    found
}

/// Every file of Rust that is shipped: the daemon's and the crates'.
fn code() -> impl Iterator<Item = (PathBuf, String)> {
    let of_crates =
        files("crates", "rs").into_iter().filter(|(path, _)| !path.ends_with("build.rs"));
    files("src", "rs").into_iter().chain(of_crates)
}

/// The files of a top-level module: `src/NAME.rs` and everything in `src/NAME/`.
fn module(name: &str) -> Vec<(PathBuf, String)> {
    let mut found: Vec<_> =
        files("src", "rs").into_iter().filter(|(path, _)| module_of(path) == name).collect();
    found.sort();
    assert!(!found.is_empty(), "there is no module {name}");
    found
}

fn module_of(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

/// The code without what only tests use: from a `#[cfg(test)]` on, and files of tests.
fn shipped((path, text): &(PathBuf, String)) -> String {
    if path.file_stem().is_some_and(|stem| stem == "tests") {
        return String::new();
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// What every layer may use: settings, counters, signs of life, what loops are told.
const EVERYWHERE: &str = "config progress meter heartbeats start_gate control";

/// The crates below, which Cargo keeps from looking up, as the daemon names them.
const CRATES: [&str; 4] = ["store", "kafka", "command", "http_client"];

/// Each layer with those below that it may use; the loops never use one another.
const LAYERS: &[(&str, &str)] = &[
    ("control", ""),
    ("log_tail", ""),
    ("explain", "store"),
    ("trace", "store http_client"),
    ("isolate", "store"),
    ("ingest", "store kafka trace isolate"),
    ("relay", "store kafka trace"),
    ("reconcile", "store isolate"),
    ("replay", "store isolate"),
    ("watchdog", "store kafka"),
    // It reads the log as ingest does.
    ("shadow", "store kafka ingest"),
    ("overview", "store kafka"),
    ("alert", "store overview http_client"),
    ("http", "store overview explain log_tail shadow"),
    // It asks ingest what it would do, so that it cannot say anything else.
    ("doctor", "store kafka ingest isolate"),
    (
        "daemon",
        "store kafka ingest relay reconcile replay watchdog overview alert http doctor log_tail shadow",
    ),
];

fn may_use(below: &str, name: &str) -> bool {
    below.split(' ').chain(EVERYWHERE.split(' ')).any(|b| b == name)
}

/// Whether code has this path, not as a part of another one.
fn names(code: &str, path: &str) -> bool {
    let is_part = |c: char| c == '_' || c.is_alphanumeric();
    code.match_indices(path).any(|(at, _)| {
        let is_start = !code[..at].ends_with(|c: char| is_part(c) || c == ':');
        is_start && (path.ends_with(':') || !code[at + path.len()..].starts_with(is_part))
    })
}

#[test]
fn data_flows_one_way() {
    for (layer, below) in LAYERS {
        for file in module(layer) {
            let code = shipped(&file);
            let others = LAYERS.iter().map(|(name, _)| *name).chain(CRATES).chain(["cli"]);
            for name in others.filter(|name| name != layer && !may_use(below, name)) {
                let uses = names(&code, &format!("crate::{name}"))
                    || (CRATES.contains(&name) && names(&code, &format!("{name}::")));
                assert!(
                    !uses,
                    "{} ({layer}) uses {name}, which is above or beside it",
                    file.0.display()
                );
            }
        }
    }
}

/// Their crate has no driver and no runtime to use; the standard library and what it depends on still have these.
#[test]
fn the_rules_touch_neither_clock_nor_chance_nor_the_world() {
    let banned = [
        "std::fs",
        "std::io::std",
        "std::net",
        "std::env",
        "std::process",
        "std::thread",
        "Instant::now",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "new_v4",
        "now_v7",
        "RandomState",
    ];
    for file in files("crates/rules/src", "rs") {
        let code = shipped(&file);
        for word in banned {
            assert!(!code.contains(word), "{} is of the rules and uses {word}", file.0.display());
        }
    }
}

#[test]
fn unsafe_is_where_librdkafka_is() {
    const ALLOWED: [&str; 3] =
        ["kafka/src/raw.rs", "kafka/src/bounds.rs", "kafka/src/bounds/measure.rs"];
    for file in code() {
        let is_allowed = ALLOWED.iter().any(|path| file.0.ends_with(path));
        let has_unsafe = shipped(&file).contains("unsafe ");
        assert!(is_allowed || !has_unsafe, "{} has unsafe code", file.0.display());
    }
}

#[test]
fn every_statement_names_itself() {
    for (path, text) in files("sql", "sql") {
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first, format!("-- makegood: {stem}"), "the first line of {}", path.display());
    }
}

/// A conflict on a number, whose sequence may be behind, must not pass for the one that is meant.
#[test]
fn every_conflict_names_its_target() {
    for (path, text) in files("sql", "sql").into_iter().chain(files("migrations", "sql")) {
        let said = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        for line in said.filter(|line| line.contains("ON CONFLICT")) {
            assert!(line.contains("ON CONFLICT ("), "{}: {line}", path.display());
        }
    }
}

/// The mapping is run with the host's schemas searched, where others may have put a function that fits better.
#[test]
fn every_function_of_the_mapping_is_of_postgresql() {
    // Words of the grammar, and aggregates whose exact types are PostgreSQL's. Of several arrays at once PostgreSQL
    // takes its own `unnest`, and only by its bare name.
    const OTHERS: &str = "as in any all and when coalesce greatest least exists count min max unnest values materialized numeric using \
                          student_course_purchases payments lateral from where on conflict";
    for (path, text) in files("sql/purchases", "sql") {
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        let code = code.join("\n");
        for (at, _) in code.match_indices('(') {
            let before = code[..at].trim_end_matches(' ');
            let is_part = |c: char| c.is_alphanumeric() || "_.".contains(c);
            let name = before.rsplit(|c| !is_part(c)).next().unwrap_or_default().to_lowercase();
            let is_of_postgresql = name.starts_with("pg_catalog.");
            let is_other = name.is_empty() || OTHERS.split_whitespace().any(|word| word == name);
            let is_alias = before.len() >= name.len() && {
                let head = before[..before.len() - name.len()].trim_end();
                head.ends_with(" AS") || head.ends_with(')')
            };
            assert!(
                is_of_postgresql || is_other || is_alias,
                "{}: {name}() may be somebody else's",
                path.display()
            );
            // Of a single array it is a function like any other.
            if name == "unnest" {
                let list = code[at + 1..].split(')').next().unwrap_or_default();
                assert!(list.contains(','), "{}: unnest({list})", path.display());
            }
        }
    }
}

#[test]
fn every_statement_is_used() {
    let code: String = code().chain(files("tests", "rs")).map(|f| f.1).collect();
    for (path, _) in files("sql", "sql") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(code.contains(&name), "nothing uses {}", path.display());
    }
}

#[test]
fn files_stay_small_enough_to_read() {
    for (path, text) in code() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines: is it still one idea?", path.display());
    }
}

/// Docker's build sees what `.dockerignore` lets through and the Dockerfile copies, and nothing else.
#[test]
fn the_image_is_built_from_everything_that_the_build_reads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let (dockerfile, ignore) = (read("deploy/container/Dockerfile"), read(".dockerignore"));
    let copied: Vec<&str> = (dockerfile.lines().filter(|line| line.starts_with("COPY ")))
        .filter(|line| !line.contains("--from"))
        .flat_map(|line| line.split_whitespace().skip(1))
        .collect();
    let is_there = |path: &str| {
        copied.iter().any(|from| path == *from || path.starts_with(&format!("{from}/")))
            && ignore.lines().any(|line| {
                line.strip_prefix('!')
                    .is_some_and(|let_in| path == let_in || path.starts_with(&format!("{let_in}/")))
            })
    };
    let mut wanted: Vec<String> = [
        "Cargo.toml",
        "Cargo.lock",
        "askama.toml",
        "build.rs",
        ".cargo/config.toml",
        "bin/split-debug-info",
        "src/main.rs",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(files("migrations", "sql").iter().map(|(path, _)| below(path)))
    .chain(files("crates", "toml").iter().map(|(path, _)| below(path)))
    .chain(files("crates", "rs").iter().map(|(path, _)| below(path)))
    .chain(code().map(|(path, _)| below(&path)))
    .collect();
    for (path, text) in code() {
        for included in text.split("include_str!(\"").skip(1) {
            let name = included.split('"').next().unwrap();
            let file = path.parent().unwrap().join(name).canonicalize().unwrap();
            wanted.push(below(&file));
        }
    }
    let missing: Vec<_> = wanted.iter().filter(|path| !is_there(path)).collect();
    assert!(missing.is_empty(), "not in the image's build: {missing:?}");
    // Cargo looks for the file of a target without a path, and tests are not copied.
    let manifest = read("Cargo.toml");
    for target in manifest.split("[[test]]").skip(1) {
        assert!(target.split("\n\n").next().unwrap().contains("path ="), "{target}");
    }
}

/// A path as seen from the root of the repository.
fn below(path: &Path) -> String {
    path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().into_owned()
}

/// The parts in C check what they write: their object code calls what only the flags in .cargo/config.toml bring.
#[cfg(target_os = "linux")]
#[test]
fn the_parts_in_c_are_hardened() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_makegood")).unwrap();
    for name in ["__stack_chk_fail", "__snprintf_chk"] {
        let has = program.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert!(has, "{name} is called by nothing: were CFLAGS overridden?");
    }
}

/// What Rust calls its values is nobody's language: `Some((2, 2668))` says nothing to who reads a message, a log or
/// JSON. Everything is written out in words.
#[test]
fn no_value_reaches_a_person_as_rust_writes_it_down() {
    // The codes of Kafka's errors are names in metrics, and the log_tail takes what the log is given.
    const ALLOWED: [&str; 2] = ["crates/kafka/src/lib.rs", "src/log_tail.rs"];
    for (path, text) in code() {
        let name = below(&path);
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
        let is_lab = name.starts_with("crates/lab");
        if is_test || is_lab || ALLOWED.contains(&name.as_str()) {
            continue;
        }
        let shipped = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in shipped.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let said = line.trim_start();
            let is_debug = line.contains(":?}") || line.contains(":#?}");
            let is_field = said.starts_with('?')
                || line.contains("(?")
                || line.contains(", ?")
                || line.contains("= ?");
            assert!(!is_debug && !is_field, "{name}: {line}");
        }
    }
}

/// Names that are several types', how often, and why. It may become less, never more: nobody finds a thing by its name
/// otherwise.
const SHARED_NAMES: &[(&str, usize, &str)] = &[
    ("BatchSpan", 2, "trace/off.rs has it where the spans are not built in"),
    ("Daemon", 2, "the bench and the torture each drive one in their own way"),
    ("Export", 2, "trace/off.rs has it where the spans are not built in"),
    ("Fate", 2, "the lab's: of a payment of the demo, and of a COMMIT at the proxy"),
    ("Fault", 2, "the torture's faults are no errors of PostgreSQL"),
    ("Kind", 3, "the demo's and the torture's scripts have their own"),
    ("Ledger", 2, "the demo's and the torture's are written differently"),
    ("Pace", 2, "the bench's is a measure"),
    ("Payment", 4, "the demo, the bench and the torture each pay with their own"),
    ("Round", 2, "a round of the bench, and the doctor's"),
    ("SendSpans", 2, "trace/off.rs has it where the spans are not built in"),
    ("Sender", 2, "the torture sends as a shop does"),
    ("Sending", 2, "the demo's script sends records"),
    ("Verdict", 3, "the torture's and the demo's judges have their own"),
    ("Worker", 2, "the demo runs one, the database tells of others"),
];

/// `Args` and `Action` are what each command calls its own, `State`, `Event` and `Action` what each machine does.
#[test]
fn a_public_types_name_stands_once() {
    let mut names = BTreeMap::new();
    for file in code() {
        for line in shipped(&file).lines().filter(|line| line.starts_with("pub")) {
            let mut words = line.split([' ', '<', '(', ';', '{']).filter(|word| !word.is_empty());
            let is_type = words.any(|w| ["struct", "enum", "trait", "type"].contains(&w));
            if let (true, Some(name)) = (is_type, words.next()) {
                *names.entry(name.to_owned()).or_insert(0) += 1;
            }
        }
    }
    names.retain(|name, times| {
        *times > 1 && !["Args", "Action", "State", "Event"].contains(&name.as_str())
    });
    for (name, times) in names {
        let known = SHARED_NAMES.iter().find(|(known, ..)| *known == name);
        let most = known.map_or(1, |(_, most, _)| *most);
        assert!(times <= most, "{times} types are called {name}: give a new one a name of its own");
    }
}

/// What events are taken in with knows nothing of the taking in: the inbox stands on the store's other files.
#[test]
fn the_inbox_stands_on_the_other_files_of_the_store() {
    for file in files("crates/store/src", "rs") {
        let name = below(&file.0);
        let is_above = ["inbox", "mapping_dry_run", "lib"].iter().any(|above| name.contains(above));
        let uses = ["crate::inbox", "super::inbox"].iter().any(|path| names(&shipped(&file), path));
        assert!(is_above || !uses, "{name} uses the inbox");
    }
}

/// They let whoever sets a variable end the daemon at any step.
#[test]
fn steps_that_can_be_told_to_fail_are_in_no_program_that_is_shipped() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let own = (own.clone(), fs::read_to_string(own).unwrap());
    for (file, text) in files("crates", "toml").into_iter().chain([own]) {
        if !file.ends_with("Cargo.toml") || file.to_string_lossy().contains("crates/lab/") {
            continue;
        }
        let manifest: toml::Table = toml::from_str(&text).unwrap();
        let of = |table: &str| manifest.get(table).and_then(toml::Value::as_table);
        assert!(of("features").is_none_or(|features| !features.contains_key("default")));
        if let Some(taken) = of("dependencies").and_then(|all| all.get("failpoints")) {
            let is_optional = taken.get("optional").and_then(toml::Value::as_bool);
            assert_eq!(is_optional, Some(true), "{}", file.display());
        }
    }
    let mut search = std::process::Command::new("grep");
    search.args(["-qaF", "FAILPOINTS_FOLDER", env!("CARGO_BIN_EXE_makegood")]);
    assert_eq!(search.status().unwrap().success(), cfg!(feature = "failpoints"));
}

/// What a file of the store takes from the store's own root, as `crate::` or `super::` names it.
fn taken_from_the_store(code: &str, depth: usize) -> BTreeSet<String> {
    let above = format!("{}::", vec!["super"; depth + 1].join("::"));
    let mut taken = BTreeSet::new();
    for root in ["crate::", above.as_str()] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            let end = match rest.starts_with('{') {
                true => rest.find('}').unwrap_or(rest.len()),
                false => {
                    rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len())
                }
            };
            let words = rest[..end].split(|c: char| c != '_' && !c.is_alphanumeric());
            taken.extend(words.map(str::to_owned));
        }
    }
    taken
}

/// Each of the store's modules can be read with those below it only.
#[test]
fn the_stores_modules_form_no_circle() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files("crates/store/src", "rs") {
        let name = below(&file.0).replace("crates/store/src/", "");
        let module = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let taken = taken_from_the_store(&shipped(&file), name.matches('/').count());
        uses.entry(module).or_default().extend(taken);
    }
    uses.remove("lib");
    let modules: BTreeSet<String> = uses.keys().cloned().collect();
    for (module, used) in &mut uses {
        used.retain(|used| used != module && modules.contains(used));
    }
    // Those that use nothing of what is left are in no circle, nor are those that nothing uses.
    loop {
        let used: BTreeSet<String> = uses.values().flatten().cloned().collect();
        let before = uses.len();
        uses.retain(|module, uses| !uses.is_empty() && used.contains(module));
        let left: BTreeSet<String> = uses.keys().cloned().collect();
        uses.values_mut().for_each(|used| used.retain(|used| left.contains(used)));
        if uses.len() == before {
            break;
        }
    }
    assert!(uses.is_empty(), "these use one another in a circle: {uses:?}");
}

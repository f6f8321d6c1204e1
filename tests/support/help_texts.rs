//! The help texts of a program, as it prints them on every level.

use std::process::Command;

/// The help of the program and of each of its commands, one after the other. Help needs no configuration and no servers.
pub fn of(program: &str, name: &str) -> String {
    let mut text = String::new();
    add(program, name, &mut Vec::new(), &mut text);
    text
}

fn add(program: &str, name: &str, path: &mut Vec<String>, text: &mut String) {
    let own = help(program, path);
    let words: Vec<&str> = [name].into_iter().chain(path.iter().map(String::as_str)).collect();
    text.push_str(&format!("$ {} --help\n\n{own}\n", words.join(" ")));
    for command in subcommands(&own) {
        path.push(command);
        add(program, name, path, text);
        path.pop();
    }
}

fn help(program: &str, path: &[String]) -> String {
    let mut command = Command::new(program);
    let output = command.args(path).arg("--help").env("COLUMNS", "100").output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{path:?} --help exits with {}", output.status);
    String::from_utf8(output.stdout).expect("help is text")
}

/// The subcommands that a help text lists.
fn subcommands(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        // A name stands two columns in; what stands further in goes on from the line above.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

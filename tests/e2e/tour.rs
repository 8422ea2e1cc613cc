//! What a newcomer runs first: `up` and `demo`, as programs.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A program that is interrupted when the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demonstration_gets_every_expected_answer() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo")).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Every answer was the expected one."), "{text}");
}

#[test]
fn up_serves_what_it_prints_until_it_is_interrupted() {
    let child = Command::new(env!("CARGO_BIN_EXE_up")).arg("--free-ports").stdout(Stdio::piped()).spawn().unwrap();
    let mut up = Running(child);
    // Kept to the end: a program that cannot print fails.
    let mut lines = BufReader::new(up.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut printed = Vec::new();
    for line in lines.by_ref() {
        let last = line.contains("Ctrl-C stops everything");
        printed.push(line.trim().to_owned());
        if last {
            break;
        }
    }
    let token = printed.iter().find(|line| line.starts_with("TOKEN=")).unwrap();
    let commands: Vec<(&str, &str)> = printed
        .iter()
        .filter(|line| line.starts_with("curl -i"))
        .map(|line| line.split_once('#').map(|(command, comment)| (command, comment.trim())).unwrap())
        .collect();
    let expected: Vec<&str> = commands.iter().map(|(_, comment)| comment.split(',').next().unwrap()).collect();
    assert_eq!(expected, ["200", "401", "404"], "{printed:#?}");
    for (command, comment) in &commands {
        assert_eq!(status_of(token, command), comment[..3], "{command}");
    }

    Command::new("kill").args(["-INT", &up.0.id().to_string()]).status().unwrap();
    let status = up.0.wait().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(status_of("TOKEN=", commands[1].0), "000", "nothing serves any more");
}

/// What a shell gets for the commands as they were printed; `000` when nobody answers.
fn status_of(token: &str, command: &str) -> String {
    let quiet = command.replace("curl -i", "curl -s -o /dev/null -w '%{http_code}'");
    let output = Command::new("bash").arg("-c").arg(format!("{token}\n{quiet}")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

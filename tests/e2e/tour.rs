//! What a newcomer runs first: `up` and `demo`, as programs.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

/// A program that runs until it is interrupted, at the latest when the test ends.
pub(crate) struct Running {
    child: Child,
    /// Kept to the end: a program that cannot print fails.
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it prints, until it says how to stop it.
    pub(crate) fn printed(&mut self) -> Vec<String> {
        let mut printed = Vec::new();
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            printed.push(line.trim().to_owned());
            if line.contains("Ctrl-C stops everything") {
                return printed;
            }
        }
        panic!("it ended: {printed:#?}");
    }

    /// Stops it as Ctrl-C does.
    pub(crate) fn interrupt(&mut self) -> ExitStatus {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
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
    let mut up = Running::start(Command::new(env!("CARGO_BIN_EXE_up")).arg("--free-ports"));
    let printed = up.printed();
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

    let status = up.interrupt();
    assert!(status.success(), "{status}");
    assert_eq!(status_of("TOKEN=", commands[1].0), "000", "nothing serves any more");
}

/// What a shell gets for the commands as they were printed; `000` when nobody answers.
fn status_of(token: &str, command: &str) -> String {
    let quiet = command.replace("curl -i", "curl -s -o /dev/null -w '%{http_code}'");
    let output = Command::new("bash").arg("-c").arg(format!("{token}\n{quiet}")).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

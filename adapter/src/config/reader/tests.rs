//! Single settings.

use proptest::prelude::*;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn settings_are_found_whatever_their_case() {
    let none = Environment::new();
    let text = "[ROUTER]\nlistenerport = 1\n[[adapter.Server.Users]]\nUserName = 'a'";
    let mut reader = Reader::new("config.toml", text, &none);
    assert_eq!(reader.number("router.listenerPort", 0..=9), Some(1));
    assert_eq!(reader.text("adapter.server.users.0.username").as_deref(), Some("a"));
    assert!(reader.problems.is_empty());
}

#[test]
fn lists_of_tables_are_counted_and_read_by_index() {
    let none = Environment::new();
    let mut reader = Reader::new("c", "[[a.list]]\nname='x'\n[[a.list]]\nname='y'", &none);
    assert_eq!(reader.count("a.List"), 2);
    assert_eq!(reader.text("a.list.1.name").as_deref(), Some("y"));
}

#[test]
fn the_environment_is_substituted_and_overrides() {
    let set = environment(&[("pwd", "secret"), ("CC_A_PORT", "7"), ("CC_A_TYPO", "x")]);
    let mut reader =
        Reader::new("c", "[a]\nx='<$env{pwd}>'\ny='$env{missing}'\nport=5\nz='$env{never read}'\nw='$env{open'", &set);
    assert_eq!(reader.text("a.x").as_deref(), Some("<secret>"));
    assert_eq!(reader.number("a.port", 0..=9), Some(7));
    assert_eq!(reader.text("a.y"), None);
    assert_eq!(reader.text("a.w"), None);
    let problems = reader.finish();
    let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.errors().count(), 2, "{text:?}");
    assert!(text[0].contains("variable missing is not set"), "{text:?}");
    assert!(text.iter().any(|line| line.contains("CC_A_TYPO")), "{text:?}");
    assert!(!text.iter().any(|line| line.contains("secret")), "{text:?}");
}

#[test]
fn every_wrong_type_is_reported_with_its_key() {
    let none = Environment::new();
    let mut reader = Reader::new("c", "a=1\nb='x'\nc=70000\nd=[1,'x']\ne=-1\n[f]\ng=1", &none);
    assert_eq!(reader.text("a"), None);
    assert_eq!(reader.flag("b"), None);
    assert_eq!(reader.port("c"), None);
    assert_eq!(reader.numbers("d", 0..=9), None);
    assert_eq!(reader.number("e", 0..=9), None);
    assert_eq!(reader.text("f"), None);
    let keys: Vec<String> = reader.problems.errors().map(|problem| problem.pointer.clone()).collect();
    assert_eq!(keys, ["a", "b", "c", "d", "e", "f"]);
}

#[test]
fn ports_can_be_switched_off() {
    let none = Environment::new();
    for (text, expected) in [
        ("p=0", Some(None)),
        ("p=''", Some(None)),
        ("p='9843'", Some(Some(9843))),
        ("p=80", Some(Some(80))),
        ("", None),
    ] {
        assert_eq!(Reader::new("c", text, &none).port("p"), expected, "{text}");
    }
}

#[test]
fn a_key_that_is_there_twice_and_a_file_that_is_no_toml_are_errors() {
    let none = Environment::new();
    assert!(Reader::new("c", "[a]\nkey=1\nKey=2", &none).problems.has_errors());
    assert!(Reader::new("c", "a = = 1", &none).problems.has_errors());
}

proptest! {
    /// However a key is written, it is found and nothing is left unread.
    #[test]
    fn case_never_matters(upper in proptest::collection::vec(any::<bool>(), 20)) {
        let mut flip = upper.into_iter().cycle();
        let key: String = "router.listenerPort".chars()
            .map(|character| if flip.next() == Some(true) { character.to_ascii_uppercase() } else { character })
            .collect();
        let none = Environment::new();
        let mut reader = Reader::new("c", &format!("{key} = 5"), &none);
        prop_assert_eq!(reader.number("router.listenerPort", 0..=9), Some(5));
        prop_assert!(reader.finish().is_empty());
    }
}

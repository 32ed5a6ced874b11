//! A program against its `events.lock`.

use std::path::PathBuf;

use super::*;

const fn layout(name: &'static str, version: u16, fingerprint: u64) -> Layout {
    Layout { name, version, fingerprint }
}

const OPENED: Layout = layout("account.opened", 1, 0x11);
const DEPOSITED_1: Layout = layout("account.deposited", 1, 0x21);
const DEPOSITED_2: Layout = layout("account.deposited", 2, 0x22);

fn differences(text: &str, layouts: &[Layout]) -> Vec<Difference> {
    parsed(text).differences(layouts)
}

fn parsed(text: &str) -> Lock<'_> {
    match Lock::parse(text) {
        Ok(lock) => lock,
        Err(error) => panic!("{}", error.at(Path::new("events.lock"))),
    }
}

fn refused(text: &str) -> String {
    match Lock::parse(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => error.at(Path::new("events.lock")).to_string(),
    }
}

fn lines(layouts: &[Layout]) -> String {
    layouts.iter().map(|layout| format!("{layout}\n")).collect()
}

/// A file of one test, removed at its end.
struct LockFile(PathBuf);

impl LockFile {
    fn new(test: &str) -> Self {
        let name = format!("mainspring-{}-{test}.lock", std::process::id());
        LockFile(std::env::temp_dir().join(name))
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("a file")
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_program_that_reads_what_is_locked_passes() {
    let text = lines(&[DEPOSITED_1, DEPOSITED_2, OPENED]);
    assert_eq!(differences(&text, &[OPENED, DEPOSITED_2, DEPOSITED_1, DEPOSITED_1]), []);
}

#[test]
fn a_layout_that_changed_without_a_new_version_is_named() {
    let changed = layout("account.deposited", 2, 0x99);
    let found = differences(&lines(&[DEPOSITED_2, OPENED]), &[changed, OPENED]);
    let name = "account.deposited".to_owned();
    assert_eq!(found, [Difference::Changed { name, version: 2, locked: 0x22, found: 0x99 }]);
    let text = found[0].to_string();
    assert!(text.contains("give it the version 3"), "{text}");
}

#[test]
fn a_version_that_is_no_longer_read_is_named_unless_it_is_retired() {
    let text = lines(&[DEPOSITED_1, DEPOSITED_2]);
    let name = "account.deposited".to_owned();
    let vanished = Difference::Vanished { name, version: 1 };
    assert_eq!(differences(&text, &[DEPOSITED_2]), [vanished]);
    let retired = text.replacen('\n', " retired\n", 1);
    assert_eq!(differences(&retired, &[DEPOSITED_2]), []);
    assert_eq!(differences(&retired, &[DEPOSITED_1, DEPOSITED_2]), []);
}

#[test]
fn a_retired_layout_does_not_come_back_with_other_fields() {
    let retired = format!("{DEPOSITED_1} retired");
    let found = differences(&retired, &[layout("account.deposited", 1, 0x99)]);
    assert!(matches!(found[..], [Difference::Changed { .. }]), "{found:?}");
}

#[test]
fn two_types_of_one_name_and_version_are_refused() {
    let other = layout("account.opened", 1, 0x99);
    let found = differences(&lines(&[OPENED]), &[other, OPENED]);
    assert_eq!(found, [Difference::Clash { name: "account.opened", version: 1 }]);
}

#[test]
fn lines_that_are_not_of_the_form_are_refused_with_their_number() {
    let digits = "0123456789abcdef";
    let broken = [
        format!("account.opened {digits}"),
        format!("account.opened one {digits}"),
        format!("account.opened 65536 {digits}"),
        "account.opened 1 0123".to_owned(),
        "account.opened 1 +123456789abcdef".to_owned(),
        format!("account.opened 1 {digits} gone"),
        format!("account.opened 1 {digits} retired twice"),
        "<<<<<< ours".to_owned(),
    ];
    for line in broken {
        let refusal = refused(&format!("# header\n\n{line}\n"));
        assert!(refusal.starts_with("events.lock line 3: expected"), "{refusal}");
    }
    let refusal = refused(&lines(&[OPENED, OPENED]));
    assert!(refusal.starts_with("events.lock line 2: a second line"), "{refusal}");
}

#[test]
fn new_layouts_go_where_they_sort_and_comments_stay() {
    let text = "# ours\n\n# about closing\naccount.closed 1 0000000000000001\r\n# end\n";
    let layouts = [OPENED, DEPOSITED_2, DEPOSITED_1, OPENED, layout("account.a", 1, 1)];
    assert_eq!(
        parsed(text).with(&layouts),
        "# ours\n\n# about closing\naccount.a 1 0000000000000001\n\
         account.closed 1 0000000000000001\naccount.deposited 1 0000000000000021\n\
         account.deposited 2 0000000000000022\naccount.opened 1 0000000000000011\n# end\n"
    );
}

#[test]
fn a_file_is_made_when_asked_for_and_then_agrees() {
    let file = LockFile::new("made");
    let layouts: &[&[Layout]] = &[&[OPENED], &[DEPOSITED_1]];
    let refusal = check_file(&file.0, layouts, false).expect_err("no file yet");
    assert!(refusal.to_string().contains("MAINSPRING_EVENTS_LOCK=write"), "{refusal}");
    assert!(!file.0.exists());
    check_file(&file.0, layouts, true).expect("written");
    check_file(&file.0, layouts, false).expect("agrees");
    assert_eq!(file.text(), format!("{HEADER}{DEPOSITED_1}\n{OPENED}\n"));
}

#[test]
fn nothing_is_written_over_a_layout_that_changed_or_vanished() {
    let file = LockFile::new("kept");
    let text = lines(&[DEPOSITED_1, DEPOSITED_2]);
    fs::write(&file.0, &text).expect("a temporary file");
    let changed = layout("account.deposited", 1, 0x99);
    let refusal = check_file(&file.0, &[&[OPENED, changed]], true).expect_err("changed");
    let LockError::Differs { differences, .. } = &refusal else { panic!("{refusal}") };
    assert_eq!(differences.len(), 3, "{refusal}");
    assert_eq!(format!("{refusal:?}"), refusal.to_string());
    assert!(!refusal.to_string().contains('\n'), "{refusal}");
    assert_eq!(file.text(), text);
}

#[test]
fn what_is_no_such_file_is_refused() {
    let file = LockFile::new("long");
    fs::write(&file.0, vec![b'#'; LOCK_LIMIT_BYTES as usize + 1]).expect("a temporary file");
    let refusal = check_file(&file.0, &[], false);
    assert!(matches!(refusal, Err(LockError::TooLong { .. })), "{refusal:?}");
    fs::write(&file.0, [0xFF]).expect("a temporary file");
    let refusal = check_file(&file.0, &[], false);
    assert!(matches!(refusal, Err(LockError::Unreadable { .. })), "{refusal:?}");
    let folder = std::env::temp_dir().join("mainspring-no-such-folder").join("events.lock");
    let refusal = check_file(&folder, &[&[OPENED]], true);
    assert!(matches!(refusal, Err(LockError::Unwritable { .. })), "{refusal:?}");
}

//! Programs of revisions of a small repository that each test makes for itself.

use super::*;

/// A folder that is deleted at the end of its test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("mainspring-perf-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    /// A repository whose package has the harness's name and prints nothing but a word.
    fn repository(name: &str) -> Self {
        let folder = Folder::new(name);
        folder.git(&["init", "--quiet"]);
        let manifest = "[package]\nname = \"mainspring-perf\"\nedition = \"2024\"\n";
        folder.write("Cargo.toml", manifest);
        folder.write(".gitignore", "target\nCargo.lock\n");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    fn git(&self, arguments: &[&str]) {
        let who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.invalid"];
        git(&self.0, who.iter().chain(arguments)).expect("git starts").expect("git succeeds");
    }

    fn commit(&self, main: &str) {
        self.write("src/main.rs", main);
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "--no-gpg-sign", "--message", "a change"]);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

fn said_by(revision: &Revision) -> String {
    let output = Command::new(&revision.program).output().expect("the program starts");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[test]
fn two_revisions_are_two_programs_and_each_is_built_once() {
    let folder = Folder::repository("two");
    folder.commit("fn main() { println!(\"first\"); }");
    folder.commit("fn main() { println!(\"second\"); }");
    folder.write("src/main.rs", "fn main() { println!(\"not committed\"); }");
    let first = build_in(&folder.0, "HEAD~1", &mut |_| {}).expect("it builds");
    let second = build_in(&folder.0, "HEAD", &mut |_| {}).expect("it builds");
    assert_eq!((said_by(&first).as_str(), said_by(&second).as_str()), ("first", "second"));
    assert_ne!(first.commit, second.commit);

    let mut steps = Vec::new();
    let again = build_in(&folder.0, &first.commit, &mut |step| steps.push(step.to_owned()));
    assert_eq!(again.expect("it is there").program, first.program);
    assert_eq!(steps, [format!("{}: built before", first.commit)]);
    let worktrees = git(&folder.0, ["worktree", "list"]).expect("git starts").expect("listed");
    assert!(!worktrees.contains("perf-revisions"), "nothing is left behind: {worktrees}");
}

#[test]
fn a_program_that_was_built_otherwise_is_built_again() {
    let folder = Folder::repository("otherwise");
    folder.commit("fn main() { println!(\"first\"); }");
    let revision = build_in(&folder.0, "HEAD", &mut |_| {}).expect("it builds");
    let shop = Workshop::of(&folder.0).expect("a repository");
    fs::write(&revision.program, "not a program").expect("writable");
    fs::write(shop.settings(&revision.commit), "another compiler").expect("writable");
    let again = build_in(&folder.0, "HEAD", &mut |_| {}).expect("it builds");
    assert_eq!(said_by(&again), "first");
}

#[test]
fn a_revision_that_does_not_build_is_one_line_with_the_reason() {
    let folder = Folder::repository("broken");
    folder.commit("fn main() { not_there() }");
    let error = build_in(&folder.0, "HEAD", &mut |_| {}).expect_err("it does not build");
    let message = error.to_string();
    assert!(matches!(error, RevisionError::NotBuilt { .. }), "{message}");
    assert_eq!(message.lines().count(), 1);
    assert!(message.contains("could not compile"), "{message}");
}

#[test]
fn a_revision_that_is_not_there_is_refused() {
    let folder = Folder::repository("unknown");
    folder.commit("fn main() {}");
    let error = build_in(&folder.0, "no-such-branch", &mut |_| {}).expect_err("not there");
    assert!(matches!(error, RevisionError::Unknown(_)) && error.is_of_the_name(), "{error}");
}

#[test]
fn what_git_would_read_as_an_option_is_no_revision() {
    let long = "a".repeat(LONGEST_NAME_BYTES + 1);
    for name in ["", "-h", "--git-dir=/", long.as_str()] {
        let error = build_in(Path::new("."), name, &mut |_| {}).expect_err("no revision");
        assert!(matches!(error, RevisionError::Name(_)), "{error}");
    }
}

#[test]
fn outside_of_a_repository_nothing_is_built() {
    let folder = Folder::new("no-repository");
    let error = build_in(&folder.0, "HEAD", &mut |_| {}).expect_err("no repository");
    assert!(matches!(error, RevisionError::NotARepository { .. }), "{error}");
}

#[test]
fn the_working_tree_is_the_program_that_is_running() {
    let present = build("working-tree", &mut |_| {}).expect("it is running");
    assert_eq!(present.program, env::current_exe().expect("known"));
    assert_eq!(present.commit, build(".", &mut |_| {}).expect("it is running").commit);
}

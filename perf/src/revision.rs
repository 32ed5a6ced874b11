//! The program as it was at another git revision, built in a folder of its own.
//!
//! It promises that the program really is that revision's: the revision is resolved to a commit first, its files are
//! checked out anew, and the binary is laid aside under the commit's name, with what it was built by. It is used again
//! only when compiler and build settings are the same. It refuses what git would read as an option, and leaves the
//! user's files, index and branches alone.
//!
//! ```text
//! target/perf-revisions/lock                one build at a time
//!                      /<commit>            the files of the revision, while it is built
//!                      /target              cargo's, shared by all revisions
//!                      /programs/<commit>   the binary, and <commit>.settings beside it
//! ```

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The longest name of a revision that is looked up.
pub const LONGEST_NAME_BYTES: usize = 256;

/// How many of the last lines of a failed build are shown.
pub const LINES_OF_A_FAILURE: usize = 5;

/// Names that stand for the program that is running.
pub const PRESENT: [&str; 2] = [".", "working-tree"];

/// The program of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// What it was asked for by.
    pub name: String,
    /// The full hash of its commit; `working-tree` for the program that is running.
    pub commit: String,
    /// The binary.
    pub program: PathBuf,
}

/// Why there is no program of a revision. What was built of others before stays.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// No revision can have this name.
    #[error("\"{0}\" cannot be the name of a revision; name a commit, a branch or a tag")]
    Name(String),
    /// The current folder belongs to no repository.
    #[error("{folder} is in no git repository; start in a clone of the project ({said})")]
    NotARepository {
        /// The folder.
        folder: String,
        /// What git said.
        said: String,
    },
    /// The repository has no such revision.
    #[error(
        "there is no revision \"{0}\" here; `git log` and `git branch --all` show what there is"
    )]
    Unknown(String),
    /// A program that is needed could not be started.
    #[error("`{program}` cannot be started: {source}; install it, or put its folder into PATH")]
    NotStarted {
        /// Which one.
        program: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The revision's files could not be laid out.
    #[error("the files of {commit} cannot be checked out: {said}")]
    NotCheckedOut {
        /// The commit.
        commit: String,
        /// What git said.
        said: String,
    },
    /// The revision was checked out and could not be built.
    #[error(
        "{name} cannot be built: {last_lines}; choose a revision that builds with this compiler"
    )]
    NotBuilt {
        /// The revision.
        name: String,
        /// The end of what cargo said, as one line.
        last_lines: String,
    },
    /// A file or folder could not be made, read or moved.
    #[error("{}: cannot {doing}: {source}", path.display())]
    Files {
        /// What was being done.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl RevisionError {
    /// Whether what was asked for cannot be, and neither the machine nor the build is at fault.
    pub fn is_of_the_name(&self) -> bool {
        use RevisionError::{Name, NotARepository, Unknown};
        matches!(self, Name(_) | Unknown(_) | NotARepository { .. })
    }
}

/// The program of a revision of the repository that contains the current folder. Builds it when that has not been done
/// before, which takes minutes; `progress` is told what is going on. [`PRESENT`] names are the running program.
pub fn build(name: &str, progress: &mut dyn FnMut(&str)) -> Result<Revision, RevisionError> {
    if PRESENT.contains(&name) {
        let program = env::current_exe()
            .map_err(|source| RevisionError::NotStarted { program: "mainspring-perf", source })?;
        return Ok(Revision { name: name.into(), commit: PRESENT[1].into(), program });
    }
    let here = PathBuf::from(".");
    let folder = here.canonicalize().map_err(in_files("find the current folder", &here))?;
    build_in(&folder, name, progress)
}

fn build_in(
    folder: &Path,
    name: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<Revision, RevisionError> {
    if name.is_empty() || name.starts_with('-') || name.len() > LONGEST_NAME_BYTES {
        return Err(RevisionError::Name(name.chars().take(LONGEST_NAME_BYTES).collect()));
    }
    let shop = Workshop::of(folder)?;
    let commit = shop.resolve(name)?;
    let _one_at_a_time = shop.lock()?;
    let settings = settings_of_builds()?;
    let program = shop.program(&commit);
    if program.is_file()
        && fs::read_to_string(shop.settings(&commit)).is_ok_and(|of| of == settings)
    {
        progress(&format!("{name}: built before"));
    } else {
        progress(&format!("{name}: checking out"));
        shop.check_out(&commit)?;
        shop.run_cargo(name, &commit, progress)?;
        shop.lay_aside(&commit, &settings)?;
    }
    Ok(Revision { name: name.into(), commit, program })
}

/// The folders of one repository.
struct Workshop {
    root: PathBuf,
    folder: PathBuf,
}

impl Workshop {
    fn of(folder: &Path) -> Result<Self, RevisionError> {
        let root = git(folder, ["rev-parse", "--show-toplevel"])?.map_err(|said| {
            RevisionError::NotARepository { folder: folder.display().to_string(), said }
        })?;
        let root = PathBuf::from(root);
        Ok(Workshop { folder: root.join("target/perf-revisions"), root })
    }

    fn resolve(&self, name: &str) -> Result<String, RevisionError> {
        let commit = format!("{name}^{{commit}}");
        let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &commit];
        git(&self.root, arguments)?.map_err(|_| RevisionError::Unknown(name.into()))
    }

    /// Held until it is dropped. Waits while another process builds.
    fn lock(&self) -> Result<File, RevisionError> {
        let programs = self.folder.join("programs");
        fs::create_dir_all(&programs).map_err(in_files("make the folder", &programs))?;
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(in_files("make the lock", &path))?;
        file.lock().map_err(in_files("take the lock", &path))?;
        Ok(file)
    }

    fn source(&self, commit: &str) -> PathBuf {
        self.folder.join(commit)
    }

    fn program(&self, commit: &str) -> PathBuf {
        self.folder.join("programs").join(commit)
    }

    fn settings(&self, commit: &str) -> PathBuf {
        self.folder.join("programs").join(format!("{commit}.settings"))
    }

    /// Lays out the revision's files anew: a build that was cut short may have left some behind.
    fn check_out(&self, commit: &str) -> Result<(), RevisionError> {
        let source = self.source(commit);
        self.remove_source(commit)?;
        let (add, commit_of_it) = ("add", OsStr::new(commit));
        // A folder that is known to git and was deleted by hand may be made again only by force.
        let arguments = ["worktree", add, "--force", "--detach"].map(OsStr::new).into_iter();
        let said = git(&self.root, arguments.chain([source.as_os_str(), commit_of_it]))?;
        said.map(drop).map_err(|said| RevisionError::NotCheckedOut { commit: commit.into(), said })
    }

    fn remove_source(&self, commit: &str) -> Result<(), RevisionError> {
        let source = self.source(commit);
        let arguments = ["worktree", "remove", "--force"].map(OsStr::new).into_iter();
        // Refused for a folder that is no worktree; whatever is there is deleted below.
        _ = git(&self.root, arguments.chain([source.as_os_str()]))?;
        match fs::remove_dir_all(&source) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(in_files("delete", &source)(error))
            }
            _ => Ok(()),
        }
    }

    fn run_cargo(
        &self,
        name: &str,
        commit: &str,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), RevisionError> {
        let not_started = |source| RevisionError::NotStarted { program: "cargo", source };
        let mut cargo = Command::new(cargo())
            .args(["build", "--release", "--package", "mainspring-perf"])
            .args(["--color", "never", "--target-dir"])
            .arg(self.folder.join("target"))
            .env_remove("CARGO_BUILD_TARGET")
            .current_dir(self.source(commit))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let mut last_lines = VecDeque::new();
        for line in cargo.stderr.take().map(BufReader::new).into_iter().flat_map(|it| it.lines()) {
            let Ok(line) = line else { break };
            progress(&format!("{name}: {}", line.trim()));
            last_lines.extend(Some(line.trim().to_owned()).filter(|line| !line.is_empty()));
            if last_lines.len() > LINES_OF_A_FAILURE {
                last_lines.pop_front();
            }
        }
        if cargo.wait().map_err(not_started)?.success() {
            return Ok(());
        }
        let last_lines = Vec::from(last_lines).join(" | ");
        Err(RevisionError::NotBuilt { name: name.into(), last_lines })
    }

    /// Moves the binary to where the next build does not overwrite it. The settings come last: without them it is not
    /// used again.
    fn lay_aside(&self, commit: &str, settings: &str) -> Result<(), RevisionError> {
        let built = self.folder.join("target/release/mainspring-perf");
        let program = self.program(commit);
        let half = program.with_extension("half");
        fs::copy(&built, &half).map_err(in_files("copy the program", &built))?;
        fs::rename(&half, &program).map_err(in_files("move the program", &half))?;
        let path = self.settings(commit);
        fs::write(&path, settings).map_err(in_files("write down the settings", &path))?;
        self.remove_source(commit)
    }
}

/// Runs git and gives what it printed, or what it complained of, each as one line.
fn git<I>(folder: &Path, arguments: I) -> Result<Result<String, String>, RevisionError>
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    let output = Command::new("git")
        // The hooks of a user's checkout are not for this one.
        .args(["-c", "core.hooksPath=/dev/null", "-C"])
        .arg(folder)
        .args(arguments)
        // Set while git runs a hook; they would lead to another repository than the folder's.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| RevisionError::NotStarted { program: "git", source })?;
    let one_line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ")
    };
    Ok(if output.status.success() {
        Ok(one_line(&output.stdout))
    } else {
        Err(one_line(&output.stderr))
    })
}

/// The cargo that has started this program, or the one in PATH.
fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The compiler, and every variable that changes what it makes.
fn settings_of_builds() -> Result<String, RevisionError> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("-vV")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| RevisionError::NotStarted { program: "rustc", source })?;
    let mut settings = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut variables: Vec<String> = env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with("CARGO_PROFILE_") || name.ends_with("RUSTFLAGS"))
        .map(|(name, value)| format!("{name}={}\n", value.to_string_lossy()))
        .collect();
    variables.sort_unstable();
    settings.extend(variables);
    Ok(settings)
}

fn in_files(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RevisionError {
    let path = path.to_owned();
    move |source| RevisionError::Files { doing, path, source }
}

#[cfg(test)]
#[path = "revision_tests.rs"]
mod tests;

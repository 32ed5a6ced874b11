//! A peer: a folder with a `peer.toml`, which says what it is, how it is built and how it is run.
//!
//! The format stands in `perf/peers/README.md`. Reading a text is apart from reading files. A `peer.toml` with a key
//! that is not known is refused: it would be a typing error that silently changes what is measured.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::child::{self, ChildError};

/// The most peers that a folder may have.
pub const MOST_PEERS: usize = 64;
/// The largest `peer.toml`.
pub const MOST_DESCRIPTION_BYTES: u64 = 64 * 1024;
/// How long building one peer may take.
pub const BUILD_LIMIT: Duration = Duration::from_secs(30 * 60);
/// How long looking for what a peer needs may take.
pub const NEED_LIMIT: Duration = Duration::from_secs(60);

/// What people would use instead of mainspring, for a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name on the command line and in tables.
    pub name: String,
    /// What exactly is measured: library and version.
    pub measured: String,
    /// Which settings were chosen, and which were tried.
    pub settings: String,
    /// The programs that it has.
    pub programs: Vec<String>,
    /// The command that does rounds, without the arguments of a round.
    pub run: Vec<String>,
    build: Vec<String>,
    needs: Option<Need>,
    folder: PathBuf,
}

/// Why the peers of a folder are not known.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The folder of peers, or something in it, cannot be read.
    #[error("{}: {source}; name the folder of peers with --peers-folder, or write --peers none", path.display())]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A `peer.toml` is not one.
    #[error("{}: {trouble}; perf/peers/README.md shows the format", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        trouble: String,
    },
    /// There are too many peers.
    #[error("{} holds more than {MOST_PEERS} peers", folder.display())]
    TooMany {
        /// The folder.
        folder: PathBuf,
    },
}

impl Peer {
    /// The peers of a folder, by name.
    pub fn all_in(folder: &Path) -> Result<Vec<Peer>, PeerError> {
        let unreadable = |path: &Path, source| PeerError::Unreadable { path: path.into(), source };
        let folder = folder.canonicalize().map_err(|source| unreadable(folder, source))?;
        let mut peers = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
            let path = entry.map_err(|source| unreadable(&folder, source))?.path();
            let description = path.join("peer.toml");
            let size_bytes = match fs::metadata(&description) {
                Ok(file) => file.len(),
                Err(error) if is_absence(&error) => continue,
                Err(source) => return Err(unreadable(&description, source)),
            };
            let malformed = |trouble| PeerError::Malformed { path: description.clone(), trouble };
            if size_bytes > MOST_DESCRIPTION_BYTES {
                return Err(malformed(format!("{size_bytes} bytes are too many")));
            }
            if peers.len() == MOST_PEERS {
                return Err(PeerError::TooMany { folder });
            }
            let text = fs::read_to_string(&description)
                .map_err(|source| unreadable(&description, source))?;
            peers.push(Peer::parse(&text, &folder).map_err(malformed)?);
        }
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        if let Some(pair) = peers.windows(2).find(|pair| pair[0].name == pair[1].name) {
            let trouble = format!("two peers are named \"{}\"", pair[0].name);
            return Err(PeerError::Malformed { path: folder, trouble });
        }
        Ok(peers)
    }

    /// Reads a `peer.toml`. `{peers}` in its commands becomes `folder`, which should be absolute.
    pub fn parse(text: &str, folder: &Path) -> Result<Peer, String> {
        let described: Described = toml::from_str(text).map_err(|error| first_line(&error))?;
        if described.name.is_empty() || described.name.contains(char::is_whitespace) {
            return Err("\"name\" must be one word".to_owned());
        }
        if described.run.is_empty() {
            return Err("\"run\" names no program".to_owned());
        }
        let place = folder.display().to_string();
        let placed = |words: Vec<String>| -> Vec<String> {
            words.iter().map(|word| word.replace("{peers}", &place)).collect()
        };
        let needs = described.needs.map(|need| Need { command: placed(need.command), ..need });
        if needs.as_ref().is_some_and(|need| need.command.is_empty()) {
            return Err("\"needs\" has no command".to_owned());
        }
        Ok(Peer {
            name: described.name,
            measured: described.measured,
            settings: described.settings,
            programs: described.programs,
            run: placed(described.run),
            build: placed(described.build),
            needs,
            folder: folder.to_owned(),
        })
    }

    /// Whether it has this program.
    pub fn has(&self, program: &str) -> bool {
        self.programs.iter().any(|own| own == program)
    }

    /// What must be done before it can be built, when what it needs is not there.
    pub fn missing_need(&self) -> Option<&str> {
        let need = self.needs.as_ref()?;
        let found = child::run(self.command(&need.command), &[], NEED_LIMIT);
        found.is_err().then_some(need.remedy.as_str())
    }

    /// Builds it. Does little when it has been built before: that is for its build command to see.
    pub fn build(&self) -> Result<(), ChildError> {
        if self.build.is_empty() {
            return Ok(());
        }
        let mut command = self.command(&self.build);
        // What it builds belongs below the folder of peers, where its run command looks for it.
        command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
        child::run(command, &[], BUILD_LIMIT).map(|_| ())
    }

    fn command(&self, words: &[String]) -> Command {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.folder);
        command
    }
}

/// A `peer.toml` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    measured: String,
    settings: String,
    programs: Vec<String>,
    #[serde(default)]
    build: Vec<String>,
    run: Vec<String>,
    needs: Option<Need>,
}

/// What must be installed before a peer can be built.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Need {
    command: Vec<String>,
    remedy: String,
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn first_line(error: &toml::de::Error) -> String {
    error.message().lines().next().unwrap_or("not TOML").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPLETE: &str = r#"
        name = "actix"
        measured = "actix 0.13.5"
        settings = "one arbiter"
        programs = ["savina-count"]
        build = ["make", "-C", "{peers}/actix"]
        run = ["{peers}/target/actix", "--quiet"]
        [needs]
        command = ["{peers}/find"]
        remedy = "install it"
    "#;

    #[test]
    fn the_folder_of_peers_is_put_into_every_command() {
        let peer = Peer::parse(COMPLETE, Path::new("/p")).expect("complete");
        assert_eq!(peer.run, ["/p/target/actix", "--quiet"]);
        assert_eq!(peer.build, ["make", "-C", "/p/actix"]);
        assert_eq!(peer.needs.as_ref().expect("has needs").command, ["/p/find"]);
        assert!(peer.has("savina-count") && !peer.has("savina"));
    }

    #[test]
    fn a_description_that_is_wrong_is_refused_with_one_line() {
        for (from, to, trouble) in [
            ("settings", "setings", "unknown field `setings`"),
            ("\"actix\"", "\"act ix\"", "must be one word"),
            ("run = [", "run = []\nrest = [", "unknown field"),
            ("name = \"actix\"", "", "missing field `name`"),
            ("[\"{peers}/find\"]", "[]", "\"needs\" has no command"),
        ] {
            let text = COMPLETE.replacen(from, to, 1);
            let error = Peer::parse(&text, Path::new("/p")).expect_err(to);
            assert!(error.contains(trouble) && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_with_a_remedy() {
        let error = Peer::all_in(Path::new("no-such-folder")).expect_err("missing").to_string();
        assert!(error.contains("no-such-folder") && error.contains("--peers none"), "{error}");
    }

    #[test]
    fn the_peers_of_this_repository_are_described_well_and_have_known_programs() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        for peer in Peer::all_in(&folder).expect("all are well described") {
            for program in &peer.programs {
                assert!(
                    mainspring_perf_contest::program::find(program).is_some(),
                    "{}: {program}",
                    peer.name
                );
            }
        }
    }
}

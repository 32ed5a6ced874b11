//! The text files of the workspace, read once, in path order. Build output and hidden folders are left out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const SKIPPED_FOLDERS: [&str; 2] = ["target", "results"];
const TEXT_ENDINGS: [&str; 10] =
    [".rs", ".toml", ".md", ".py", ".sh", ".yml", ".yaml", ".txt", ".stderr", ".ci/run"];

/// One text file: its path from the workspace root, with `/` between parts.
pub struct File {
    pub path: String,
    pub text: String,
}

/// All text files of the workspace.
pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    /// Reads the workspace that this crate belongs to.
    pub fn of_workspace() -> io::Result<Tree> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("runtime/ has a parent");
        let mut files = Vec::new();
        read_folder(root, root, &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Tree { files })
    }

    /// The text of one file, when there is one.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path).map(|file| file.text.as_str())
    }

    /// The files below a folder; `folder` ends with `/`.
    pub fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.starts_with(folder))
    }
}

fn read_folder(root: &Path, folder: &Path, files: &mut Vec<File>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            let hidden = name.starts_with('.') && name != ".ci";
            if !hidden && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                read_folder(root, &entry.path(), files)?;
            }
        } else if kind.is_file() {
            let path = path_from(root, entry.path());
            if TEXT_ENDINGS.iter().any(|ending| path.ends_with(ending)) {
                files.push(File { text: fs::read_to_string(entry.path())?, path });
            }
        }
    }
    Ok(())
}

fn path_from(root: &Path, path: PathBuf) -> String {
    path.strip_prefix(root).expect("inside the root").to_string_lossy().replace('\\', "/")
}

#[test]
fn the_tree_has_the_runtime_and_no_build_output() {
    let tree = Tree::of_workspace().unwrap();
    assert!(tree.text("runtime/src/lib.rs").is_some());
    assert!(tree.text("Cargo.toml").unwrap().contains("[workspace]"));
    assert_eq!(tree.below("target/").count(), 0);
}

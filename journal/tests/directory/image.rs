//! A small file system in a file, mounted for one test. Only the superuser can mount, and not in every container.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(0);

pub struct Image {
    folder: PathBuf,
}

impl Image {
    /// A mounted file system of some bytes. Where none can be mounted it is said, and the test is over.
    pub fn or_skipped(kind: &str, bytes: u64) -> Option<Image> {
        let mounted = Image::mount(kind, bytes);
        mounted
            .inspect_err(|reason| {
                println!("skipped: no {kind} image can be mounted here: {reason}")
            })
            .ok()
    }

    /// A mounted file system of some bytes; or why there is none.
    fn mount(kind: &str, bytes: u64) -> Result<Image, String> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainspring-image-{}-{number}-{kind}", std::process::id());
        let image = Image { folder: std::env::temp_dir().join(name) };
        fs::create_dir_all(image.path()).map_err(|error| error.to_string())?;
        let file = image.folder.join("image");
        File::create(&file).and_then(|file| file.set_len(bytes)).map_err(|e| e.to_string())?;
        let force = if kind == "xfs" { "-f" } else { "-F" };
        run(Command::new(format!("mkfs.{kind}")).args(["-q", force]).arg(&file))?;
        run(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(&file).arg(image.path()))?;
        Ok(image)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.join("mounted")
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // It may never have been mounted.
        let _ = run(Command::new("umount").arg(self.path()));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Takes what is left of the file system, up to less than a megabyte.
pub fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("filler");
    let file = File::create(&path).expect("a file needs little room");
    let (mut bytes, mut piece) = (0, 256 << 20);
    while piece >= 256 << 10 {
        match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), bytes, piece) {
            Ok(()) => bytes += piece,
            Err(_) => piece /= 2,
        }
    }
    file.sync_all().expect("it is allocated");
    path
}

fn run(command: &mut Command) -> Result<(), String> {
    let said = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let complaint = String::from_utf8_lossy(&said.stderr);
    let first = complaint.lines().next().unwrap_or("no reason given").to_owned();
    if said.status.success() { Ok(()) } else { Err(format!("{command:?}: {first}")) }
}

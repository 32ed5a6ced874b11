//! Changing a machine: the only functions of the crate that do.
//!
//! Promises: a file of the kernel is written by one system call; a file that has to survive is written beside its
//! place, synced, and renamed, so that it is never seen half written under its name. On a recorded machine the same
//! functions change the recording, and nothing else.

use crate::sys_root::{ReadError, SysRoot};
use rustix::fs::{Access, AtFlags, CWD, accessat};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many more writes happen before a crash that a test wants.
pub(crate) type Allowance = Option<Arc<AtomicUsize>>;

/// What is appended to the name of a file while it is not yet whole.
pub(crate) const UNFINISHED: &str = ".mainspring-unfinished";

impl SysRoot {
    /// The same machine, for tests of what survives a crash: after this many writes the next one is cut off in the
    /// middle where that can happen, and nothing after it happens at all.
    #[must_use]
    pub fn crashing_after(self, writes: usize) -> SysRoot {
        let mut root = self;
        root.allowance = Some(Arc::new(AtomicUsize::new(writes)));
        root
    }

    /// A folder of the machine on which this runs, whose writes count as this machine's.
    pub(crate) fn beside(&self, folder: &Path) -> SysRoot {
        let mut root = SysRoot::recorded(folder);
        root.allowance.clone_from(&self.allowance);
        root
    }

    /// Writes a line to a file of the kernel that is there; on a recorded machine it becomes all that the file holds.
    /// Where the directory is a control group, the file comes with it; a recorded directory is an ordinary one, so
    /// there it is made.
    pub(crate) fn tell(&self, path: &str, line: &str) -> io::Result<()> {
        self.allow()?;
        let place = self.place(Path::new(path));
        let mut options = OpenOptions::new();
        let options = options.write(true).truncate(true).create(self.is_recorded());
        options.open(place)?.write_all(format!("{line}\n").as_bytes())
    }

    /// Gives a file of a recorded machine the text that it had.
    pub(crate) fn put_back(&self, path: &str, text: &str) -> io::Result<()> {
        self.allow()?;
        fs::write(self.place(Path::new(path)), text)
    }

    /// Writes a whole file that is to survive: beside its place first, then synced, then renamed. The mode of a file
    /// that was there is kept.
    pub(crate) fn write_durably(&self, path: &str, text: &str) -> io::Result<()> {
        let place = self.place(Path::new(path));
        let unfinished = self.place(Path::new(&format!("{path}{UNFINISHED}")));
        let length = self.allowed_of(text)?;
        let mut file = File::create(&unfinished)?;
        file.write_all(&text.as_bytes()[..length])?;
        if length < text.len() {
            return Err(crash());
        }
        if let Ok(before) = fs::metadata(&place) {
            file.set_permissions(before.permissions())?;
        }
        file.sync_all()?;
        self.allow()?;
        fs::rename(&unfinished, &place)?;
        sync_directory(&place)
    }

    /// Appends to a file that is the tuner's own, without waiting for the disk: what is appended helps after the end of
    /// this process, and after that of the machine there is nothing that it could help with.
    pub(crate) fn append(&self, path: &str, text: &str) -> io::Result<()> {
        let length = self.allowed_of(text)?;
        let mut file = OpenOptions::new().append(true).open(self.place(Path::new(path)))?;
        file.write_all(&text.as_bytes()[..length])?;
        if length < text.len() {
            return Err(crash());
        }
        Ok(())
    }

    /// Removes a file and what a crash may have left of writing it; a file that is not there is removed already.
    pub(crate) fn remove_file(&self, path: &str) -> io::Result<()> {
        self.allow()?;
        let place = self.place(Path::new(path));
        for place in [self.place(Path::new(&format!("{path}{UNFINISHED}"))), place.clone()] {
            match fs::remove_file(place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_directory(&place)
    }

    /// Removes what a crash may have left of writing a file.
    pub(crate) fn remove_unfinished(&self, path: &str) -> io::Result<()> {
        let place = self.place(Path::new(&format!("{path}{UNFINISHED}")));
        if !place.exists() {
            return Ok(());
        }
        self.allow()?;
        fs::remove_file(place)
    }

    /// Makes a directory, in one that is there.
    pub(crate) fn make_directory(&self, path: &str) -> io::Result<()> {
        self.allow()?;
        fs::create_dir(self.place(Path::new(path)))
    }

    /// Removes an empty directory.
    pub(crate) fn remove_directory(&self, path: &str) -> io::Result<()> {
        self.allow()?;
        fs::remove_dir(self.place(Path::new(path)))
    }

    /// Runs `ethtool` on a device; on a recorded machine, sets the line in what the device answered.
    pub(crate) fn set_coalescing(
        &self,
        device: &str,
        property: &str,
        value: &str,
    ) -> io::Result<()> {
        if !self.is_recorded() {
            self.allow()?;
            return run("ethtool", &["--coalesce", device, property, value]);
        }
        let path = format!("/ethtool/{device}/coalesce");
        let text = self.read(&path).map_err(io::Error::other)?;
        let line = |line: &str| match line.split_once(':') {
            Some((name, _)) if name == property => format!("{name}: {value}\n"),
            _ => format!("{line}\n"),
        };
        self.allow()?;
        fs::write(self.place(Path::new(&path)), text.lines().map(line).collect::<String>())
    }

    /// Has a service read its settings anew, if it runs; a recorded machine runs none.
    pub(crate) fn restart(&self, unit: &str) -> io::Result<()> {
        if self.is_recorded() {
            return Ok(());
        }
        run("systemctl", &["try-restart", unit])
    }

    /// Whether this process would be let change the file or directory, or make it where it would be.
    pub(crate) fn may_write(&self, path: &str) -> bool {
        let mut place = self.place(Path::new(path));
        while !place.exists() {
            if !place.pop() {
                return false;
            }
        }
        accessat(CWD, &place, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
    }

    /// The text of a file that may be longer than one of the kernel's.
    pub(crate) fn read_up_to(&self, path: &str, limit_bytes: u64) -> Result<String, ReadError> {
        let mut bytes = Vec::new();
        let file = File::open(self.place(Path::new(path)))?;
        file.take(limit_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit_bytes {
            return Err(ReadError::TooLong);
        }
        // A line that was cut off in the middle of a character is still a line that was cut off.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Uses up one write that happens or does not.
    fn allow(&self) -> io::Result<()> {
        match self.allowed_of("-")? {
            1 => Ok(()),
            _ => Err(crash()),
        }
    }

    /// Uses up one write; how many bytes of it happen.
    fn allowed_of(&self, text: &str) -> io::Result<usize> {
        let Some(left) = &self.allowance else { return Ok(text.len()) };
        match left.load(Ordering::Relaxed) {
            CRASHED => Err(crash()),
            0 => {
                left.store(CRASHED, Ordering::Relaxed);
                Ok(text.len() / 2)
            }
            more => {
                left.store(more - 1, Ordering::Relaxed);
                Ok(text.len())
            }
        }
    }
}

/// The allowance after the write that was cut off.
const CRASHED: usize = usize::MAX;

fn crash() -> io::Error {
    io::Error::other("the test wants a crash here")
}

fn sync_directory(place: &Path) -> io::Result<()> {
    match place.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

fn run(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output().map_err(|error| {
        io::Error::new(error.kind(), format!("{program} cannot be run: {error}"))
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default().trim();
    Err(io::Error::other(format!("{program} {}: {} {said}", arguments.join(" "), output.status)))
}

//! The certificates that new connections use, which can be replaced while the node runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::error::TlsError;
use super::files::{Material, TlsFiles, TlsServer, of_node, of_server};

enum Source {
    Node { files: TlsFiles, system: String },
    Server(TlsServer),
}

/// Where certificates come from, and what was last found there. For all cores of a node.
pub(crate) struct Credentials {
    source: Source,
    current: Mutex<Arc<Material>>,
}

impl Credentials {
    /// Those of a node that is linked to others.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn of_node(files: TlsFiles, system: &str) -> Result<Credentials, TlsError> {
        Credentials::of(Source::Node { files, system: system.to_owned() })
    }

    /// Those of a server.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn of_server(files: TlsServer) -> Result<Credentials, TlsError> {
        Credentials::of(Source::Server(files))
    }

    /// From now on new connections use what the files hold now.
    ///
    /// # Errors
    /// [`TlsError`]; what was used is used on.
    pub fn reload(&self) -> Result<(), TlsError> {
        let material = Arc::new(self.source.read()?);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = material;
        Ok(())
    }

    /// What a new connection uses.
    pub(super) fn current(&self) -> Arc<Material> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn of(source: Source) -> Result<Credentials, TlsError> {
        let current = Mutex::new(Arc::new(source.read()?));
        Ok(Credentials { source, current })
    }
}

impl Source {
    fn read(&self) -> Result<Material, TlsError> {
        match self {
            Source::Node { files, system } => of_node(files, system),
            Source::Server(files) => of_server(files),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials")
    }
}

//! The secret that keys hashes of credentials.

use std::fs;
use std::io;
use std::path::Path;

use rand::TryRng;
use rand::rngs::SysRng;

use super::{DataDirError, write_whole};

pub(super) fn read_or_make(directory: &Path) -> Result<[u8; 32], DataDirError> {
    let path = directory.join("secret");
    let unwritable = |error| DataDirError::Unwritable { path: directory.to_owned(), error };
    match fs::read(&path) {
        Ok(bytes) => {
            let found = bytes.len();
            bytes.try_into().map_err(|_| DataDirError::Secret { path, found })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            SysRng.try_fill_bytes(&mut secret).map_err(|error| unwritable(io::Error::other(error)))?;
            write_whole(&path, &secret).map_err(unwritable)?;
            Ok(secret)
        }
        Err(error) => Err(unwritable(error)),
    }
}

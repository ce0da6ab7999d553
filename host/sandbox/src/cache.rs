//! The cache of compiled modules on disk.
//!
//! Compiling takes a second for each megabyte; loading takes milliseconds. But what is
//! loaded is machine code that runs with all of the host's rights, so an entry counts
//! only with a code (HMAC-SHA-256) under a key that lies beside it and that nobody else
//! may read. The code is checked on the very bytes that are then loaded. The folder, the key
//! and each entry must belong to the user who runs, and be out of the reach of others.

use std::fs::{self, DirBuilder, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Where compiled modules are cached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheDir {
    /// `sluicebox/modules` in the user's cache folder: `$XDG_CACHE_HOME`, else `~/.cache`.
    User,
    /// This folder.
    At(PathBuf),
    /// No cache: every process compiles again.
    None,
}

/// Bytes of an authentication code.
const CODE: usize = 32;
const KEY: &str = "key";
/// Bytes that are read of the key, which has fewer.
const KEY_BYTES: u64 = 64;
/// Bytes of an entry: the machine code of the largest module that is let in.
const ENTRY_BYTES: u64 = 1 << 30;

/// A folder of compiled modules.
pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

/// Why an entry was not used.
enum Miss {
    /// There is no entry.
    Absent,
    /// The entry cannot be used.
    Unusable(String),
}

impl Cache {
    /// Opens the folder and creates its key if it has none. A cache that cannot be used is ignored with a warning:
    /// everything works without it, only slower.
    pub(super) fn open(place: &CacheDir) -> Option<Self> {
        let folder = match place {
            CacheDir::None => return None,
            CacheDir::At(folder) => folder.clone(),
            CacheDir::User => match user_folder() {
                Some(folder) => folder,
                None => {
                    tracing::warn!("no cache of compiled modules: neither XDG_CACHE_HOME nor HOME is set");
                    return None;
                }
            },
        };
        match open_key(&folder) {
            Ok(key) => Some(Self { folder, key }),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "no cache of compiled modules");
                None
            }
        }
    }

    /// The compiled module with this digest, if it can be trusted.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let name = entry(engine, digest);
        match self.try_load(engine, &name) {
            Ok(component) => Some(component),
            Err(Miss::Absent) => None,
            Err(Miss::Unusable(why)) => {
                tracing::warn!(entry = %self.folder.join(&name).display(), why, "compiling a cached module anew");
                None
            }
        }
    }

    fn try_load(&self, engine: &Engine, name: &str) -> Result<Component, Miss> {
        let bytes = match read_own(&self.folder.join(name), ENTRY_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Miss::Absent),
            Err(error) => return Err(Miss::Unusable(error.to_string())),
        };
        let (code, artefact) = bytes
            .split_at_checked(CODE)
            .ok_or_else(|| Miss::Unusable("it is shorter than its authentication code".into()))?;
        self.mac(name, artefact)
            .verify_slice(code)
            .map_err(|_| Miss::Unusable("its authentication code does not fit".into()))?;
        // SAFETY: `deserialize` asks for bytes that an engine has serialized and nobody has
        // changed since. Only this process and others of the same user know the key, they
        // write only what `serialize` gave them, and the code was just checked on these very
        // bytes, which are in our own memory.
        unsafe { Component::deserialize(engine, artefact) }.map_err(|error| Miss::Unusable(error.to_string()))
    }

    /// Stores a compiled module.
    pub(super) fn store(&self, engine: &Engine, digest: &str, component: &Component) {
        let name = entry(engine, digest);
        if let Err(error) = self.try_store(&name, component) {
            tracing::warn!(folder = %self.folder.display(), %error, "a compiled module could not be kept");
        }
    }

    fn try_store(&self, name: &str, component: &Component) -> io::Result<()> {
        let artefact = component.serialize().map_err(|error| io::Error::other(error.to_string()))?;
        let code = self.mac(name, &artefact).finalize().into_bytes();
        // A temporary file has mode 0600, and renaming makes the entry appear whole; one
        // that a power cut tears has no valid code.
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&code)?;
        file.write_all(&artefact)?;
        file.persist(self.folder.join(name))?;
        Ok(())
    }

    /// The code covers the name too, so that one module cannot stand in for another.
    fn mac(&self, name: &str, artefact: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("cannot fail because HMAC takes keys of any length");
        mac.update(&(name.len() as u64).to_le_bytes());
        mac.update(name.as_bytes());
        mac.update(artefact);
        mac
    }
}

/// The name of a module's entry. Another version or setting of the engine has another entry.
fn entry(engine: &Engine, digest: &str) -> String {
    let mut hasher = Stable(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let settings = hex::encode(hasher.0.finalize());
    format!("{digest}-{}.cwasm", &settings[..16])
}

fn user_folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(cache.join("sluicebox").join("modules"))
}

fn open_key(folder: &Path) -> io::Result<[u8; 32]> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    check_folder(folder)?;
    let path = folder.join(KEY);
    // A link counts as there, wherever it leads: it is refused when it is opened.
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&rand::random::<[u8; 32]>())?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            // Another process was faster; its key is as good.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
    }
    let key = read_own(&path, KEY_BYTES)?;
    <[u8; 32]>::try_from(key)
        .map_err(|key| io::Error::other(format!("`{}` has {} bytes instead of 32", path.display(), key.len())))
}

/// Refuses a folder that others own or may write to: who can put files in could put in a key of his own.
fn check_folder(folder: &Path) -> io::Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(folder)
        .map_err(|error| {
            io::Error::new(error.kind(), format!("`{}` is no folder of ours: {error}", folder.display()))
        })?;
    let found = opened.metadata()?;
    check_owner(folder, &found)?;
    if found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others may write to the folder `{}` (mode {:o})",
            folder.display(),
            found.mode() & 0o777
        )));
    }
    Ok(())
}

/// The bytes of a regular file of at most `most` bytes that belongs to this user and that others may neither read
/// nor write. All of it is asked of the file that was opened, whatever the name leads to a moment later; nothing
/// that is waited for, such as a pipe, is opened.
fn read_own(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => io::Error::other(format!("`{}` is a link", path.display())),
        _ => error,
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other(format!("`{}` is not a regular file", path.display())));
    }
    check_owner(path, &found)?;
    if found.mode() & 0o077 != 0 {
        let mode = found.mode() & 0o777;
        return Err(io::Error::other(format!("others may read or write `{}` (mode {mode:o})", path.display())));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(found.len().min(most)).unwrap_or_default());
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("`{}` has more than {most} bytes", path.display())));
    }
    Ok(bytes)
}

/// Refuses what belongs to another user, to root as well: it may be his machine code.
fn check_owner(path: &Path, found: &fs::Metadata) -> io::Result<()> {
    // SAFETY: it takes nothing, cannot fail, and changes nothing.
    let own = unsafe { libc::geteuid() };
    if found.uid() == own {
        return Ok(());
    }
    Err(io::Error::other(format!("`{}` belongs to user {} and not to user {own}", path.display(), found.uid())))
}

/// A hasher whose result is the same in every build of the host.
struct Stable(Sha256);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::engine::engine;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn open(folder: &Path) -> Cache {
        Cache::open(&CacheDir::At(folder.to_owned())).unwrap()
    }

    #[test]
    fn only_an_untouched_entry_under_its_own_name_and_key_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(1 << 20).unwrap();
        let component = Component::from_binary(&engine, EMPTY).unwrap();
        let cache = open(folder.path());
        cache.store(&engine, "aa", &component);
        assert!(cache.load(&engine, "aa").is_some());
        assert!(cache.load(&engine, "bb").is_none());

        let path = folder.path().join(entry(&engine, "aa"));
        let whole = fs::read(&path).unwrap();
        for at in [0, 31, 32, whole.len() / 2, whole.len() - 1] {
            let mut forged = whole.clone();
            forged[at] ^= 1;
            fs::write(&path, forged).unwrap();
            assert!(cache.load(&engine, "aa").is_none(), "byte {at}");
        }
        for length in [0, 10, 32, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.load(&engine, "aa").is_none(), "{length} bytes");
        }

        fs::write(&path, &whole).unwrap();
        fs::write(folder.path().join(entry(&engine, "bb")), &whole).unwrap();
        assert!(cache.load(&engine, "bb").is_none(), "another module's entry");
        assert!(cache.load(&engine, "aa").is_some());
        fs::write(folder.path().join(KEY), [7; 32]).unwrap();
        assert!(open(folder.path()).load(&engine, "aa").is_none(), "another key");
    }

    #[test]
    fn what_is_not_plainly_ours_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("entry");
        let modes = |mode: u32| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        fs::write(&path, b"0123456789").unwrap();
        modes(0o600);
        assert_eq!(read_own(&path, 10).unwrap(), b"0123456789");
        assert!(read_own(&path, 9).is_err(), "more than may be read");
        modes(0o640);
        assert!(read_own(&path, 10).is_err(), "others may read it");
        modes(0o600);

        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read_own(&link, 10).is_err(), "a link");
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero")).unwrap();
        assert!(read_own(&folder.path().join("zero"), 10).is_err(), "a device behind a link");
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg("-m600").arg(&pipe).status().unwrap().success());
        assert!(read_own(&pipe, 10).is_err(), "a pipe, which is not waited for");

        let shared = folder.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(open_key(&shared).is_err(), "a folder that others write to");
        let away = folder.path().join("away");
        std::os::unix::fs::symlink(folder.path(), &away).unwrap();
        assert!(open_key(&away).is_err(), "a link to a folder");
    }

    #[test]
    fn files_of_other_users_are_not_read_by_root_either() {
        // SAFETY: it takes nothing, cannot fail, and changes nothing.
        if unsafe { libc::geteuid() } != 0 {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        open_key(folder.path()).unwrap();
        std::os::unix::fs::chown(folder.path().join(KEY), Some(65_534), None).unwrap();
        assert!(open_key(folder.path()).is_err(), "another user's key");
        std::os::unix::fs::chown(folder.path().join(KEY), Some(0), None).unwrap();
        std::os::unix::fs::chown(folder.path(), Some(65_534), None).unwrap();
        assert!(open_key(folder.path()).is_err(), "another user's folder");
    }

    #[test]
    fn processes_that_start_together_agree_on_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| open(folder.path()).key)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }
}

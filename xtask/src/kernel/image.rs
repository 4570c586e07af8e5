//! What the machine boots into: busybox, and files of this machine under the paths they have here.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::package::Package;
use crate::process;

/// Folders that are mounted on, or that programs expect.
const FOLDERS: [&str; 9] = ["bin", "dev", "etc", "lib64", "proc", "run", "sys", "tmp", "root"];
/// Modules come from these, with what those need.
const MODULES: [&str; 3] = ["kernel/net", "kernel/drivers/net", "kernel/lib"];
/// Programs of the lab and the suites; the others are busybox's.
const TOOLS: [&str; 4] = ["ip", "tc", "ss", "nstat"];

/// An initial RAM file system under construction.
pub(super) struct Image {
    root: PathBuf,
}

impl Image {
    /// With a kernel's modules, the tools, and what starts first.
    pub(super) fn new(root: PathBuf, package: &Package) -> Result<Self> {
        if root.exists() {
            fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))?;
        }
        for folder in FOLDERS {
            make(&root.join(folder))?;
        }
        let image = Self { root };
        image.modules(package)?;
        copy(Path::new("/bin/busybox"), &image.root.join("bin/busybox"))?;
        for tool in TOOLS {
            let path = process::find(tool).with_context(|| format!("{tool} of iproute2 is missing"))?;
            image.program(&path)?;
        }
        image.text("init", include_str!("init.sh"))?;
        Ok(image)
    }

    /// Adds a program without its debug information, and the libraries it is linked with.
    pub(super) fn program(&self, path: &Path) -> Result<()> {
        let to = self.place(path)?;
        process::output(Command::new("strip").args(["--strip-debug", "-o"]).arg(&to).arg(path))?;
        let libraries = process::output(Command::new("ldd").arg(path))?;
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
            if library != path {
                copy(library, &self.place(library)?)?;
            }
        }
        Ok(())
    }

    /// Adds a file or a folder as it is.
    pub(super) fn files(&self, path: &Path) -> Result<()> {
        let to = self.place(path)?;
        process::output(Command::new("cp").args(["-rT"]).arg(path).arg(to)).map(drop)
    }

    /// Adds a script.
    pub(super) fn text(&self, name: &str, text: &str) -> Result<()> {
        let path = self.root.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot make {} executable", path.display()))
    }

    /// Packs it, as the kernel reads it.
    pub(super) fn pack(&self) -> Result<PathBuf> {
        let path = self.root.with_extension("cpio");
        let archive = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut names = Command::new("find").arg(".").current_dir(&self.root).stdout(Stdio::piped()).spawn()?;
        let status = Command::new("/bin/busybox")
            .args(["cpio", "-o", "-H", "newc"])
            .current_dir(&self.root)
            .stdin(names.stdout.take().context("find has no stdout")?)
            .stdout(archive)
            .stderr(Stdio::null())
            .status()
            .context("cannot start busybox cpio")?;
        let listed = names.wait().context("cannot wait for find")?;
        ensure!(
            status.success() && listed.success(),
            "cannot pack {}: find | busybox cpio failed",
            self.root.display()
        );
        Ok(path)
    }

    fn modules(&self, package: &Package) -> Result<()> {
        let modules = package.modules();
        let listed = ["modules.builtin", "modules.builtin.modinfo", "modules.order"];
        for name in MODULES.iter().chain(&listed) {
            let to = self.root.join(&modules).join(name);
            make(to.parent().unwrap_or(&self.root))?;
            process::output(Command::new("cp").arg("-rT").arg(package.root.join(&modules).join(name)).arg(to))?;
        }
        let depmod = ["depmod", "-b"];
        process::output(Command::new("/bin/busybox").args(depmod).arg(&self.root).arg(&package.release)).map(drop)
    }

    /// A path of this machine in the image, whose folder is made.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let relative = path.strip_prefix("/").with_context(|| format!("{} is relative", path.display()))?;
        let to = self.root.join(relative);
        make(to.parent().unwrap_or(&self.root))?;
        Ok(to)
    }
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

//! A `docker-registry` that benches push to.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running registry that logs every request; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Registry {
    process: Child,
    pub(crate) port: u16,
    log: PathBuf,
}

impl Registry {
    /// Starts one on a free port, with its data below this folder.
    pub(crate) fn start(root: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("loopback has a free port")
            .port();
        let log = root.join("registry.log");
        let config = root.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{formatter: json, level: info, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            root.join("registry").display()
        );
        fs::write(&config, text).expect("the folder can be written");
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("the folder can be written"))
            .spawn()
            .expect("docker-registry is installed");
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "docker-registry does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, port, log }
    }

    /// The method and path of every request answered so far, from the registry's own log.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        let reader = BufReader::new(File::open(&self.log).expect("the log was made at the start"));
        let lines = reader.lines().map_while(Result::ok);
        let entries =
            lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
        let text = |entry: &serde_json::Value, name: &str| {
            entry[name].as_str().unwrap_or_default().to_owned()
        };
        entries
            .filter(|entry| text(entry, "msg").starts_with("response completed"))
            .map(|entry| (text(&entry, "http.request.method"), text(&entry, "http.request.uri")))
            .collect()
    }

    /// The bytes of everything that the registry stored.
    pub(crate) fn stored_bytes(&self) -> u64 {
        folder_bytes(&self.log.with_file_name("registry"))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The bytes of all files below a folder.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

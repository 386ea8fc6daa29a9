//! `moto`: AWS as its tests know it, as far as somebody wrote it down; it has no App Runner, and no registry.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

/// A running server; it ends when this is dropped, and with it all that was made there.
#[derive(Debug)]
pub(crate) struct Moto {
    process: Child,
    url: String,
}

/// The one that stories share while any of them runs.
static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

impl Moto {
    /// One for stories that each have names of their own.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let started = Arc::new(Self::start());
            *shared = Arc::downgrade(&started);
            started
        })
    }

    /// Starts one on a free port, for the account `123456789012`.
    pub(crate) fn start() -> Self {
        let mut process = Command::new(super::python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
            // Images must be in its ECR before a function has one, and policies of AWS's own are there.
            .envs([("MOTO_LAMBDA_STUB_ECR", "false"), ("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")])
            .env("PYTHONPYCACHEPREFIX", super::cache())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python can be run");
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                said.push_str(&line);
                said.push('\n');
                Some(line.split_once("Running on ")?.1.trim().to_owned())
            })
            .unwrap_or_else(|| panic!("moto did not start:\n{said}"));
        // It must be able to go on writing.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { process, url }
    }

    /// Where it is: `http://127.0.0.1:1234`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The variables by which AWS's clients, and we, find it.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 4] {
        let [key, secret, region] = super::CREDENTIALS;
        [("AWS_ENDPOINT_URL", self.url()), key, secret, region]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

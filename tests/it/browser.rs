//! A browser without a screen: Debian's Chromium, whose whole network is a proxy that only writes down what it is asked.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

/// It starts within seconds; a loaded machine gets more.
const LIMIT: Duration = Duration::from_secs(90);

/// Whom Chromium asks for itself, whatever it is told: for the time, for updates, for accounts.
const MAKERS: [&str; 8] = [
    "accounts.google.com",
    "android.clients.google.com",
    "clients2.google.com",
    "content-autofill.googleapis.com",
    "mtalk.google.com",
    "optimizationguide-pa.googleapis.com",
    "redirector.gvt1.com",
    "update.googleapis.com",
];

/// A browser, in which nothing was ever opened.
pub struct Browser {
    home: TempDir,
    proxy: String,
    asked: Arc<Mutex<Vec<String>>>,
}

/// What a reader has told the browser to prefer.
#[derive(Clone, Copy)]
pub enum Scheme {
    Light,
    Dark,
}

/// What the browser shows, by rows.
pub struct Picture {
    pub width: usize,
    pub pixels: Vec<[u8; 3]>,
}

impl Browser {
    pub fn new() -> Self {
        let proxy = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = proxy.local_addr().expect("it has an address").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&asked);
        std::thread::spawn(move || {
            for connection in proxy.incoming().flatten() {
                let mut line = String::new();
                if BufReader::new(connection).read_line(&mut line).is_ok() {
                    requests.lock().expect("nobody panics").push(line.trim().to_owned());
                }
            }
        });
        let home = tempfile::tempdir().expect("the directory for temporary files is writable");
        Self { home, proxy: address, asked }
    }

    /// What pages have asked the network for.
    pub fn requests(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("nobody panics");
        let is_pages = |request: &&String| !MAKERS.iter().any(|host| is_to(request, host));
        asked.iter().filter(is_pages).cloned().collect()
    }

    /// The page's elements, once it is loaded and its scripts have run.
    pub async fn elements(&self, page: &Path) -> String {
        String::from_utf8(self.open(page, Scheme::Light, &["--dump-dom"]).await).expect("text")
    }

    /// A picture of so many pixels.
    pub async fn picture(&self, page: &Path, scheme: Scheme, width: usize, height: usize) -> Picture {
        let file = self.home.path().join("picture.png");
        let arguments = [format!("--screenshot={}", file.display()), format!("--window-size={width},{height}")];
        self.open(page, scheme, &arguments.each_ref().map(String::as_str)).await;
        Picture::read(&file)
    }

    /// The page as it is printed.
    pub async fn print(&self, page: &Path) -> Vec<u8> {
        let file = self.home.path().join("page.pdf");
        let argument = format!("--print-to-pdf={}", file.display());
        self.open(page, Scheme::Light, &[&argument]).await;
        std::fs::read(file).expect("it was printed")
    }

    async fn open(&self, page: &Path, scheme: Scheme, arguments: &[&str]) -> Vec<u8> {
        let profile = tempfile::tempdir_in(self.home.path()).expect("the directory is writable");
        let scheme = match scheme {
            Scheme::Light => "--blink-settings=preferredColorScheme=1",
            Scheme::Dark => "--blink-settings=preferredColorScheme=0",
        };
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--hide-scrollbars",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            // Loopback and all: whatever it asks for, it asks the proxy.
            .args([&format!("--proxy-server={}", self.proxy), "--proxy-bypass-list=<-loopback>"])
            // A page beside the report may look into a frame with the report.
            .arg("--allow-file-access-from-files")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args([scheme])
            .args(arguments)
            .arg(format!("file://{}", page.display()))
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let output = tokio::time::timeout(LIMIT, command.output()).await.expect("it ends in time");
        let output = output.expect("Chromium is installed: on Debian, apt-get install chromium");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// How far the page's content goes to the right, and how far it may, in frames of these widths, in pixels.
    pub async fn widths(&self, page: &Path, widths: &[u32]) -> Vec<(u32, u32)> {
        let frames: String = widths
            .iter()
            .map(|width| {
                format!("<iframe src=\"{}\" style=\"width:{width}px;height:9000px;border:0\"></iframe>\n", name(page))
            })
            .collect();
        let probe = page.with_file_name("probe.html");
        // Everything that can be opened is, for what it has inside counts as well.
        let script = "addEventListener('load', () => { for (const frame of document.querySelectorAll('iframe')) {
            const inside = frame.contentDocument;
            inside.querySelectorAll('details').forEach(details => { details.open = true });
            const root = inside.documentElement;
            document.body.append(`<${root.scrollWidth},${frame.clientWidth}>`);
        } })";
        std::fs::write(&probe, format!("<!doctype html><body>{frames}<script>{script}</script>"))
            .expect("the file can be written");
        let elements = self.elements(&probe).await;
        let measured = elements.split("&lt;").skip(1).filter_map(|rest| {
            let (content, frame) = rest.split_once("&gt;")?.0.split_once(',')?;
            Some((content.parse().ok()?, frame.parse().ok()?))
        });
        measured.collect()
    }
}

/// Whether this is a request to a proxy for something of the host's.
fn is_to(request: &str, host: &str) -> bool {
    let target = request.split(' ').nth(1).unwrap_or_default();
    let target = target.split_once("://").map_or(target, |(_, rest)| rest);
    target.split(['/', ':']).next() == Some(host)
}

fn name(page: &Path) -> String {
    PathBuf::from(page.file_name().expect("a file")).display().to_string()
}

impl Picture {
    fn read(file: &Path) -> Self {
        let file = std::fs::File::open(file).expect("the picture was taken");
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a picture");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let info = reader.next_frame(&mut bytes).expect("a whole picture");
        let samples = info.color_type.samples();
        assert!(samples >= 3, "a picture in colours");
        let pixels = bytes.chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: info.width as usize, pixels }
    }

    /// The colour of a pixel.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// How many pixels have this colour.
    pub fn count(&self, colour: [u8; 3]) -> usize {
        self.pixels.iter().filter(|pixel| **pixel == colour).count()
    }
}

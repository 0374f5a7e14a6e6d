//! A headless browser: Debian's Chromium, whose only network is a proxy that records requests and answers none.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use crate::wait::eventually;

/// The longest time for one run, which takes seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(90);

/// The hosts that Chromium contacts by itself whatever its options, for time, updates and accounts.
const OWN_HOSTS: [&str; 8] = [
    "accounts.google.com",
    "android.clients.google.com",
    "clients2.google.com",
    "content-autofill.googleapis.com",
    "mtalk.google.com",
    "optimizationguide-pa.googleapis.com",
    "redirector.gvt1.com",
    "update.googleapis.com",
];

/// A browser with an empty profile.
pub struct Browser {
    home: TempDir,
    proxy: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The colour scheme that the browser prefers.
#[derive(Clone, Copy)]
pub enum Scheme {
    Light,
    Dark,
}

/// A screenshot, row by row.
pub struct Screenshot {
    pub width: usize,
    pub pixels: Vec<[u8; 3]>,
}

impl Browser {
    pub fn new() -> Self {
        let proxy = TcpListener::bind("127.0.0.1:0").expect("the loopback can be listened on");
        let address = proxy.local_addr().expect("it has an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in proxy.incoming().flatten() {
                let mut line = String::new();
                if BufReader::new(connection).read_line(&mut line).is_ok() {
                    recorded.lock().expect("no thread panicked").push(line.trim().to_owned());
                }
            }
        });
        let home = tempfile::tempdir().expect("the directory for temporary files is writable");
        Self { home, proxy: address, requests }
    }

    /// Returns the requests of pages.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().expect("no thread panicked");
        let is_of_a_page = |request: &&String| !OWN_HOSTS.iter().any(|host| is_to(request, host));
        requests.iter().filter(is_of_a_page).cloned().collect()
    }

    /// Returns the page's elements after it has loaded and its scripts have run.
    pub async fn elements(&self, page: &Path) -> String {
        self.elements_at(&url(page)).await
    }

    /// Returns the elements of the page at a URL. Of the network only its own host is there.
    pub async fn elements_at(&self, url: &str) -> String {
        String::from_utf8(self.open(url, Scheme::Light, &["--dump-dom"]).await).expect("text")
    }

    /// Takes a screenshot of this size.
    pub async fn screenshot(&self, page: &Path, scheme: Scheme, width: usize, height: usize) -> Screenshot {
        self.screenshot_at(&url(page), scheme, width, height).await
    }

    /// Takes a screenshot of the page at a URL.
    pub async fn screenshot_at(&self, url: &str, scheme: Scheme, width: usize, height: usize) -> Screenshot {
        let file = self.home.path().join("screenshot.png");
        let arguments = [format!("--screenshot={}", file.display()), format!("--window-size={width},{height}")];
        self.open(url, scheme, &arguments.each_ref().map(String::as_str)).await;
        Screenshot::read(&file)
    }

    /// Prints the page to a PDF file and returns its bytes.
    pub async fn print(&self, page: &Path) -> Vec<u8> {
        let file = self.home.path().join("page.pdf");
        let argument = format!("--print-to-pdf={}", file.display());
        self.open(&url(page), Scheme::Light, &[&argument]).await;
        std::fs::read(file).expect("the page was printed")
    }

    /// Keeps the page at a URL open until a condition holds.
    pub async fn stay_at(&self, url: &str, condition: impl AsyncFnMut() -> Option<()>) {
        let profile = tempfile::tempdir_in(self.home.path()).expect("the directory is writable");
        // Headless, Chromium ends at once without a port for a debugger.
        let mut command = self.command(url, Scheme::Light, profile.path(), &["--remote-debugging-port=0"]);
        let mut process = command.stderr(Stdio::null()).spawn().expect("Chromium is installed");
        eventually("the page has loaded again", condition).await;
        process.kill().await.expect("Chromium is running");
    }

    async fn open(&self, url: &str, scheme: Scheme, arguments: &[&str]) -> Vec<u8> {
        let profile = tempfile::tempdir_in(self.home.path()).expect("the directory is writable");
        let mut command = self.command(url, scheme, profile.path(), arguments);
        let output = tokio::time::timeout(LIMIT, command.output()).await.expect("Chromium ends in time");
        let output = output.expect("Chromium is installed: on Debian, apt-get install chromium");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn command(&self, url: &str, scheme: Scheme, profile: &Path, arguments: &[&str]) -> Command {
        let own_host = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap_or_default();
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
            // All requests but those to the page's own host go to the proxy, those to the loopback too.
            .arg(format!("--proxy-server={}", self.proxy))
            .arg(format!("--proxy-bypass-list=<-loopback>;{own_host}"))
            // Lets the page of `widths` measure the report in a frame.
            .arg("--allow-file-access-from-files")
            .arg(format!("--user-data-dir={}", profile.display()))
            .args([scheme])
            .args(arguments)
            .arg(url)
            .env("HOME", self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Measures the page in frames of these widths: the width of its content and that of the frame, in pixels.
    pub async fn widths(&self, page: &Path, widths: &[u32]) -> Vec<(u32, u32)> {
        let frames: String = widths
            .iter()
            .map(|width| {
                format!("<iframe src=\"{}\" style=\"width:{width}px;height:9000px;border:0\"></iframe>\n", name(page))
            })
            .collect();
        let probe = page.with_file_name("probe.html");
        // Opens all details, whose content counts as well.
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

fn url(page: &Path) -> String {
    format!("file://{}", page.display())
}

/// Returns whether a request to a proxy is for this host.
fn is_to(request: &str, host: &str) -> bool {
    let target = request.split(' ').nth(1).unwrap_or_default();
    let target = target.split_once("://").map_or(target, |(_, rest)| rest);
    target.split(['/', ':']).next() == Some(host)
}

fn name(page: &Path) -> String {
    PathBuf::from(page.file_name().expect("a file")).display().to_string()
}

impl Screenshot {
    fn read(file: &Path) -> Self {
        let file = std::fs::File::open(file).expect("the screenshot was taken");
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info().expect("a PNG image");
        let mut bytes = vec![0; reader.output_buffer_size().expect("it fits into memory")];
        let info = reader.next_frame(&mut bytes).expect("a complete image");
        let samples = info.color_type.samples();
        assert!(samples >= 3, "a colour image");
        let pixels = bytes.chunks_exact(samples).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
        Self { width: info.width as usize, pixels }
    }

    /// Returns the colour of a pixel.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// Returns the number of pixels of this colour.
    pub fn count(&self, colour: [u8; 3]) -> usize {
        self.pixels.iter().filter(|pixel| **pixel == colour).count()
    }
}

//! Owns requests to the hub: redirects, who sees the token, and what failures mean.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ureq::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LOCATION, RANGE,
    RETRY_AFTER,
};
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::crypto;
use super::error::HubError;
use super::name::HubModel;

type Result<T> = std::result::Result<T, HubError>;

/// More redirects than any mirror needs.
const MOST_REDIRECTS: usize = 10;

/// Answers of the API beyond this are not lists of files.
const LARGEST_LISTING: u64 = 64 << 20;
const LARGEST_CONFIG: u64 = 16 << 20;

/// How requests are made.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) endpoint: String,
    pub(super) token: Option<String>,
    /// How long a server may stay silent.
    pub(super) timeout: Duration,
    /// The time before the first repetition; it doubles with each.
    pub(super) pause: Duration,
}

/// Makes requests to one hub.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    options: Options,
    origin: Origin,
}

/// Which part of a chain of redirects is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Its end.
    End,
    /// The first answer that says what file it leads to.
    Described,
}

/// What the hub says about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    /// The name of the contents; the SHA-256 for large files.
    pub(super) etag: String,
    pub(super) size: Option<u64>,
}

/// Bytes of a file that are about to come.
pub(super) struct Incoming {
    pub(super) body: Body,
    /// The position of the first of them.
    pub(super) start: u64,
}

impl Client {
    pub(super) fn new(options: Options, roots: Option<&Path>) -> Result<Self> {
        let setting = |problem| HubError::Setting {
            variable: "HF_ENDPOINT",
            value: options.endpoint.clone(),
            problem,
        };
        let address: Uri = options
            .endpoint
            .parse()
            .map_err(|_| setting("is not an address"))?;
        let origin =
            Origin::of(&address).ok_or_else(|| setting("is not an address of http or https"))?;
        let mut tls = TlsConfig::builder();
        if crypto::is_supported() {
            tls = crypto::with_provider(tls);
        }
        if let Some(path) = roots {
            tls = tls.root_certs(read_roots(path)?);
        }
        let agent = Agent::config_builder()
            .user_agent(concat!("olivine-lm/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            // Redirects are followed here, so that the token is sent to the hub alone.
            .max_redirects(0)
            .http_status_as_error(false)
            .timeout_resolve(Some(options.timeout))
            .timeout_connect(Some(options.timeout))
            .timeout_per_read(Some(options.timeout))
            .timeout_per_write(Some(options.timeout))
            .build()
            .new_agent();
        Ok(Self {
            agent,
            options,
            origin,
        })
    }

    pub(super) fn pause(&self) -> Duration {
        self.options.pause
    }

    fn endpoint(&self) -> &str {
        self.options.endpoint.trim_end_matches('/')
    }

    /// The page of a model, for people.
    fn page(&self, model: &HubModel) -> String {
        format!("{}/{}", self.endpoint(), model.id())
    }

    fn file_url(&self, model: &HubModel, commit: &str, file: &str) -> String {
        let file = file.split('/').map(encode).collect::<Vec<_>>().join("/");
        format!("{}/resolve/{commit}/{file}", self.page(model))
    }

    /// Reads what the hub says about a model: the answer's address and its text.
    pub(super) fn model(&self, model: &HubModel) -> Result<(String, String)> {
        let url = format!(
            "{}/api/models/{}/revision/{}?blobs=true",
            self.endpoint(),
            model.id(),
            encode(model.wanted_revision())
        );
        let text = self.text(&url, model, LARGEST_LISTING)?;
        Ok((url, text))
    }

    /// Reads a configuration without keeping it: its address and its text.
    pub(super) fn config(
        &self,
        model: &HubModel,
        commit: &str,
        file: &str,
    ) -> Result<(String, String)> {
        let url = self.file_url(model, commit, file);
        let text = self.text(&url, model, LARGEST_CONFIG)?;
        Ok((url, text))
    }

    fn text(&self, url: &str, model: &HubModel, limit: u64) -> Result<String> {
        let response = self.request(url, model, false, None, Until::End)?;
        let bytes = response
            .into_body()
            .into_with_config()
            .limit(limit)
            .read_to_vec()
            .map_err(|error| self.failure(url, error))?;
        String::from_utf8(bytes).map_err(|_| HubError::Answer {
            url: url.to_owned(),
            problem: "it is not UTF-8 text".to_owned(),
        })
    }

    /// Asks what a file is without its bytes.
    pub(super) fn describe(
        &self,
        model: &HubModel,
        commit: &str,
        file: &str,
    ) -> Result<Description> {
        let url = self.file_url(model, commit, file);
        let response = self.request(&url, model, true, None, Until::Described)?;
        let headers = response.headers();
        let linked = text(headers, "x-linked-etag");
        let etag = linked
            .or_else(|| text(headers, ETAG.as_str()))
            .map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_owned())
            .filter(|tag| is_file_name(tag))
            .ok_or_else(|| HubError::Answer {
                url: url.clone(),
                problem: "it has no usable ETag".to_owned(),
            })?;
        // The length of a redirect is that of its own text.
        let size = if response.status().is_redirection() {
            text(headers, "x-linked-size")
        } else {
            text(headers, "x-linked-size").or_else(|| text(headers, CONTENT_LENGTH.as_str()))
        };
        Ok(Description {
            etag,
            size: size.and_then(|size| size.parse().ok()),
        })
    }

    /// Asks for the bytes of a file from a position on; the server may start at zero instead.
    pub(super) fn open(
        &self,
        model: &HubModel,
        commit: &str,
        file: &str,
        start: u64,
    ) -> Result<Incoming> {
        let url = self.file_url(model, commit, file);
        let response =
            self.request(&url, model, false, (start > 0).then_some(start), Until::End)?;
        let begins = match response.status().as_u16() {
            206 => range_start(response.headers()).filter(|begins| *begins == start),
            200 => Some(0),
            _ => None,
        };
        let Some(start) = begins else {
            return Err(HubError::Answer {
                url,
                problem: format!("it holds other bytes than those from {start} on"),
            });
        };
        Ok(Incoming {
            body: response.into_body(),
            start,
        })
    }

    /// Says what a failure while reading a body means.
    pub(super) fn read_failure(
        &self,
        model: &HubModel,
        commit: &str,
        file: &str,
        error: std::io::Error,
    ) -> HubError {
        self.failure(
            &self.file_url(model, commit, file),
            ureq::Error::from(error),
        )
    }

    fn request(
        &self,
        url: &str,
        model: &HubModel,
        head: bool,
        from: Option<u64>,
        until: Until,
    ) -> Result<Response<Body>> {
        let answer = |url: &str, problem: &str| HubError::Answer {
            url: url.to_owned(),
            problem: problem.to_owned(),
        };
        let mut url = url.to_owned();
        let mut trusted = true;
        for _ in 0..MOST_REDIRECTS {
            let address: Uri = url
                .parse()
                .map_err(|_| answer(&url, "it leads to no address"))?;
            let origin = Origin::of(&address)
                .ok_or_else(|| answer(&url, "it leads to an address that is not of http"))?;
            if origin.secure && !crypto::is_supported() {
                return Err(HubError::NoTls);
            }
            // Once a redirect has left the hub, whoever answers may lead anywhere.
            trusted &= origin == self.origin;
            let mut request = if head {
                self.agent.head(&url)
            } else {
                self.agent.get(&url)
            };
            request = request.header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.options.token.as_deref().filter(|_| trusted) {
                request = request.header(AUTHORIZATION, format!("Bearer {token}"));
            }
            if let Some(from) = from {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let response = request.call().map_err(|error| self.failure(&url, error))?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if !status.is_redirection() {
                return Err(self.refusal(&url, model, trusted, &response));
            }
            if until == Until::Described && response.headers().contains_key("x-linked-etag") {
                return Ok(response);
            }
            let next = text(response.headers(), LOCATION.as_str())
                .and_then(|location| join(&address, location))
                .ok_or_else(|| answer(&url, "it redirects to nowhere"))?;
            if origin.secure && !next.starts_with("https:") {
                return Err(answer(&url, "it redirects from https to http"));
            }
            url = next;
        }
        Err(answer(&url, "it redirects too often"))
    }

    fn refusal(
        &self,
        url: &str,
        model: &HubModel,
        trusted: bool,
        response: &Response<Body>,
    ) -> HubError {
        let headers = response.headers();
        let code = text(headers, "x-error-code").unwrap_or_default();
        match (response.status().as_u16(), code) {
            // Of another host's refusals only the number is of use.
            (status, _) if !trusted => HubError::Status {
                url: without_query(url),
                status,
                retry_after: retry_after(headers),
            },
            (401, "GatedRepo") | (403, _) => HubError::Forbidden {
                model: model.id().to_owned(),
                page: self.page(model),
            },
            (401, _) => HubError::Unauthorized {
                model: model.id().to_owned(),
                token: self.options.token.is_some(),
            },
            (404, "RevisionNotFound") => HubError::NoRevision {
                model: model.id().to_owned(),
                revision: model.wanted_revision().to_owned(),
            },
            (404, _) if url.contains("/api/models/") => HubError::NotFound {
                model: model.id().to_owned(),
            },
            (status, _) => HubError::Status {
                url: without_query(url),
                status,
                retry_after: retry_after(headers),
            },
        }
    }

    fn failure(&self, url: &str, error: ureq::Error) -> HubError {
        let url = without_query(url);
        if timed_out(&error) {
            return HubError::Timeout {
                url,
                seconds: self.options.timeout.as_secs(),
            };
        }
        let problem = match error {
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => {
                return HubError::Insecure {
                    url,
                    problem: error.to_string(),
                };
            }
            // What rustls finds out while reading comes wrapped.
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return HubError::Insecure {
                    url,
                    problem: error.to_string(),
                };
            }
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::Protocol(_) | ureq::Error::BodyExceedsLimit(_) => {
                return HubError::Answer {
                    url,
                    problem: error.to_string(),
                };
            }
            other => other.to_string(),
        };
        HubError::Unreachable { url, problem }
    }
}

/// Scheme, host and port: what has to be the same for the token to be sent.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

impl Origin {
    fn of(address: &Uri) -> Option<Self> {
        let secure = match address.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        Some(Self {
            secure,
            host: address.host()?.to_ascii_lowercase(),
            port: address.port_u16().unwrap_or(if secure { 443 } else { 80 }),
        })
    }
}

/// The address that a `Location` leads to.
fn join(base: &Uri, location: &str) -> Option<String> {
    let scheme = base.scheme_str()?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return Some(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    let authority = base.authority()?;
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let folder = base
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

/// Signed addresses are long, and their signatures are secrets.
fn without_query(url: &str) -> String {
    url.split_once('?').map_or(url, |(path, _)| path).to_owned()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn retry_after(headers: &HeaderMap) -> Option<u64> {
    text(headers, RETRY_AFTER.as_str())?.trim().parse().ok()
}

/// The first position of `Content-Range: bytes 100-199/200`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = text(headers, CONTENT_RANGE.as_str())?.strip_prefix("bytes ")?;
    range.split_once('-')?.0.trim().parse().ok()
}

fn timed_out(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Timeout(_) => true,
        ureq::Error::Io(error) => {
            matches!(
                error.kind(),
                std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock
            ) || error
                .get_ref()
                .and_then(|inner| inner.downcast_ref::<ureq::Error>())
                .is_some_and(timed_out)
        }
        _ => false,
    }
}

/// Whether an ETag can be the name of a blob.
fn is_file_name(tag: &str) -> bool {
    (1..=200).contains(&tag.len())
        && !tag.starts_with('.')
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Percent-encodes one part of a path.
fn encode(part: &str) -> String {
    part.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect::<Vec<_>>()
        .concat()
}

/// Reads the certificates that `SSL_CERT_FILE` names, as networks with proxies of their own need.
fn read_roots(path: &Path) -> Result<RootCerts> {
    let bytes = fs::read(path).map_err(HubError::read(path))?;
    let certificates: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(HubError::Setting {
            variable: "SSL_CERT_FILE",
            value: path.display().to_string(),
            problem: "holds no certificates",
        });
    }
    Ok(RootCerts::new_with_certs(&certificates))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_resolved_against_the_address_that_gave_them() {
        let base: Uri = "https://hub.example:8443/a/b?c=d".parse().unwrap();
        for (location, expected) in [
            ("http://other/x", "http://other/x"),
            ("//other/x", "https://other/x"),
            ("/x?y", "https://hub.example:8443/x?y"),
            ("x", "https://hub.example:8443/a/x"),
        ] {
            assert_eq!(join(&base, location).unwrap(), expected);
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin = |text: &str| Origin::of(&text.parse().unwrap());
        assert_eq!(
            origin("https://Hub.example/a"),
            origin("https://hub.example:443/b")
        );
        assert_ne!(
            origin("https://hub.example/"),
            origin("http://hub.example/")
        );
        assert_ne!(
            origin("http://hub.example/"),
            origin("http://hub.example:81/")
        );
        assert_ne!(
            origin("http://hub.example/"),
            origin("http://hub.example.evil/")
        );
        assert_eq!(origin("ftp://hub.example/"), None);
    }

    #[test]
    fn etags_that_are_no_file_names_are_refused() {
        assert!(is_file_name("0a1b-2_c.d"));
        for tag in ["", "..", ".x", "a/b", "a\\b", "a b", "a\0"] {
            assert!(!is_file_name(tag), "{tag:?}");
        }
    }

    #[test]
    fn names_are_encoded_for_addresses() {
        assert_eq!(encode("refs/pr/1"), "refs%2Fpr%2F1");
        assert_eq!(encode("a b?ü#"), "a%20b%3F%C3%BC%23");
    }
}

//! Owns the numbers a generation ends with: token counts, speeds, latency, memory.

use std::fmt;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// How fast a text was generated and what it took.
///
/// Displays as two aligned lines; serialises with the derived speeds included.
///
/// ```
/// use olivine_lm::GenerationStats;
/// let stats = GenerationStats { prompt_tokens: 12, ..GenerationStats::default() };
/// assert!(stats.to_string().starts_with("Prompt:"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GenerationStats {
    /// Number of tokens in the prompt.
    pub prompt_tokens: usize,
    /// Time to process the prompt.
    pub prompt_time: Duration,
    /// Number of tokens generated.
    pub generation_tokens: usize,
    /// Time from the first generated token to the last.
    pub generation_time: Duration,
    /// Time from the request to the first token.
    pub time_to_first_token: Option<Duration>,
    /// Largest resident memory of the process so far, in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl GenerationStats {
    /// Prompt tokens per second, where there is anything to divide.
    ///
    /// ```
    /// use std::time::Duration;
    /// use olivine_lm::GenerationStats;
    /// let prompt_time = Duration::from_millis(500);
    /// let stats = GenerationStats { prompt_tokens: 50, prompt_time, ..Default::default() };
    /// assert_eq!(stats.prompt_speed(), Some(100.0));
    /// ```
    pub fn prompt_speed(&self) -> Option<f64> {
        speed(self.prompt_tokens, self.prompt_time)
    }

    /// Generated tokens per second, where there is anything to divide.
    ///
    /// The first token belongs to the prompt's time, so it is not counted.
    ///
    /// ```
    /// use std::time::Duration;
    /// use olivine_lm::GenerationStats;
    /// let generation_time = Duration::from_secs(2);
    /// let generation_tokens = 21;
    /// let stats = GenerationStats { generation_tokens, generation_time, ..Default::default() };
    /// assert_eq!(stats.generation_speed(), Some(10.0));
    /// ```
    pub fn generation_speed(&self) -> Option<f64> {
        speed(
            self.generation_tokens.saturating_sub(1),
            self.generation_time,
        )
    }
}

fn speed(tokens: usize, time: Duration) -> Option<f64> {
    let per_second = tokens as f64 / time.as_secs_f64();
    Some(per_second).filter(|speed| tokens > 0 && speed.is_finite())
}

impl fmt::Display for GenerationStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: &str, tokens: usize, speed: Option<f64>| {
            let speed = speed.map_or("-".to_owned(), |speed| format!("{speed:.1}"));
            let unit = if tokens == 1 { "token " } else { "tokens" };
            format!("{name:<11} {tokens:>6} {unit} {speed:>9} tokens/s")
        };
        f.write_str(&row("Prompt:", self.prompt_tokens, self.prompt_speed()))?;
        if let Some(time) = self.time_to_first_token {
            write!(f, "   first token {:>8.3} s", time.as_secs_f64())?;
        }
        let generation = row(
            "Generation:",
            self.generation_tokens,
            self.generation_speed(),
        );
        write!(f, "\n{generation}")?;
        if let Some(bytes) = self.peak_memory {
            write!(f, "   peak memory {:>8.3} GB", bytes as f64 / 1e9)?;
        }
        Ok(())
    }
}

impl Serialize for GenerationStats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let first = self.time_to_first_token.map(|time| time.as_secs_f64());
        let mut fields = serializer.serialize_struct("GenerationStats", 8)?;
        fields.serialize_field("prompt_tokens", &self.prompt_tokens)?;
        fields.serialize_field("prompt_seconds", &self.prompt_time.as_secs_f64())?;
        fields.serialize_field("prompt_tokens_per_second", &self.prompt_speed())?;
        fields.serialize_field("generation_tokens", &self.generation_tokens)?;
        fields.serialize_field("generation_seconds", &self.generation_time.as_secs_f64())?;
        fields.serialize_field("generation_tokens_per_second", &self.generation_speed())?;
        fields.serialize_field("time_to_first_token_seconds", &first)?;
        fields.serialize_field("peak_memory_bytes", &self.peak_memory)?;
        fields.end()
    }
}

/// Largest resident memory of this process so far, in bytes; none where the system does not tell.
///
/// ```
/// // At least a page, where the system tells.
/// assert!(olivine_lm::peak_memory().is_none_or(|bytes| bytes >= 4096));
/// ```
#[cfg(target_os = "linux")]
pub fn peak_memory() -> Option<u64> {
    parse_high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Largest resident memory of this process so far, in bytes; none where the system does not tell.
#[cfg(target_vendor = "apple")]
pub fn peak_memory() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::uninit();
    // SAFETY: getrusage writes one rusage to the pointer, which is valid for one.
    let status = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if status != 0 {
        return None;
    }
    // SAFETY: a zero status means the struct was filled.
    let usage = unsafe { usage.assume_init() };
    // Apple's kernels count bytes here, others kilobytes.
    u64::try_from(usage.ru_maxrss).ok()
}

/// Largest resident memory of this process so far, in bytes; none where the system does not tell.
#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub fn peak_memory() -> Option<u64> {
    None
}

/// Reads `VmHWM` from the text of `/proc/self/status`.
#[cfg(target_os = "linux")]
fn parse_high_water_mark(status: &str) -> Option<u64> {
    let rest = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats() -> GenerationStats {
        GenerationStats {
            prompt_tokens: 12,
            prompt_time: Duration::from_millis(100),
            generation_tokens: 101,
            generation_time: Duration::from_secs(2),
            time_to_first_token: Some(Duration::from_millis(104)),
            peak_memory: Some(123_456_789),
        }
    }

    #[test]
    fn prints_two_aligned_lines() {
        assert_eq!(
            stats().to_string(),
            "Prompt:         12 tokens     120.0 tokens/s   first token    0.104 s\n\
             Generation:    101 tokens      50.0 tokens/s   peak memory    0.123 GB"
        );
    }

    #[test]
    fn nothing_generated_prints_no_speed() {
        let text = GenerationStats::default().to_string();
        assert_eq!(
            text,
            "Prompt:          0 tokens         - tokens/s\n\
             Generation:      0 tokens         - tokens/s"
        );
    }

    #[test]
    fn json_holds_the_derived_speeds() {
        let json = serde_json::to_value(stats()).unwrap();
        assert_eq!(json["generation_tokens"], 101);
        assert_eq!(json["generation_tokens_per_second"], 50.0);
        assert_eq!(json["peak_memory_bytes"], 123_456_789);
        let empty = serde_json::to_value(GenerationStats::default()).unwrap();
        assert!(empty["prompt_tokens_per_second"].is_null());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_high_water_mark_grows_with_use() {
        let before = peak_memory().unwrap();
        let block = std::hint::black_box(vec![1u8; before as usize + (1 << 20)]);
        assert!(peak_memory().unwrap() > before);
        drop(block);
        assert!(peak_memory().unwrap() > before);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_status_text_without_the_mark_gives_none() {
        assert_eq!(parse_high_water_mark("VmHWM:\t  12 kB\n"), Some(12 * 1024));
        for text in [
            "",
            "VmHWM:\n",
            "VmHWM: x kB",
            "VmHWM: 18446744073709551615 kB",
        ] {
            assert_eq!(parse_high_water_mark(text), None, "{text}");
        }
    }
}

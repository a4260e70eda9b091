//! Owns what the system says about the processor.

use olivine_core::DeviceInfo;

use crate::alloc::total_memory;

/// The processor's name, its architecture, and the machine's memory.
pub(crate) fn info() -> DeviceInfo {
    let architecture = std::env::consts::ARCH.to_owned();
    DeviceInfo {
        device_name: product().unwrap_or_else(|| architecture.clone()),
        architecture,
        memory_size: total_memory(),
    }
}

/// The product's name, where the system tells it.
#[cfg(all(target_os = "macos", not(miri)))]
fn product() -> Option<String> {
    let mut name = [0u8; 256];
    let mut size = name.len();
    // SAFETY: the system writes at most `size` bytes to `name`, and reads the key up to its zero.
    let status = unsafe {
        libc::sysctlbyname(
            c"machdep.cpu.brand_string".as_ptr(),
            name.as_mut_ptr().cast(),
            &raw mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    let text = std::ffi::CStr::from_bytes_until_nul(name.get(..size)?).ok()?;
    (status == 0).then(|| text.to_string_lossy().trim().to_owned())
}

/// The product's name, where the system tells it.
#[cfg(not(all(target_os = "macos", not(miri))))]
fn product() -> Option<String> {
    named(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// The name of the first processor in Linux's description of all.
#[cfg(any(test, not(all(target_os = "macos", not(miri)))))]
fn named(description: &str) -> Option<String> {
    let mut facts = description.lines().filter_map(|line| line.split_once(':'));
    let (_, name) = facts.find(|(key, _)| key.trim() == "model name")?;
    Some(name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_stands_in_the_description_of_the_first_processor() {
        let description = "processor\t: 0\nmodel name\t: Fast One \n\nmodel name\t: Other\n";
        assert_eq!(named(description).as_deref(), Some("Fast One"));
        assert_eq!(named("processor\t: 0\nFeatures\t: fp asimd\n"), None);
    }

    #[test]
    fn facts_are_never_empty() {
        let info = info();
        assert!(!info.device_name.is_empty() && !info.architecture.is_empty());
        assert_ne!(info.memory_size, Some(0));
    }
}

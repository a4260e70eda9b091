//! Owns the cryptography of downloads: TLS and SHA-256 in Rust alone, where the processor can.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod imp {
    use graviola::hashing::{Hash as _, HashContext as _};
    use ureq::tls::TlsConfigBuilder;

    /// The library asks for these instructions with a panic, so it is asked first.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn is_supported() -> bool {
        use std::arch::is_x86_feature_detected as has;
        has!("aes")
            && has!("pclmulqdq")
            && has!("ssse3")
            && has!("avx")
            && has!("avx2")
            && has!("bmi1")
            && has!("bmi2")
            && has!("adx")
    }

    /// The library asks for these instructions with a panic, so it is asked first.
    #[cfg(target_arch = "aarch64")]
    pub(crate) fn is_supported() -> bool {
        use std::arch::is_aarch64_feature_detected as has;
        has!("neon") && has!("aes") && has!("pmull") && has!("sha2")
    }

    pub(crate) fn with_provider(builder: TlsConfigBuilder) -> TlsConfigBuilder {
        builder.unversioned_rustls_crypto_provider(rustls_graviola::default_provider().into())
    }

    /// A SHA-256 in progress.
    pub(crate) struct Sha256(<graviola::hashing::Sha256 as graviola::hashing::Hash>::Context);

    impl Sha256 {
        pub(crate) fn new() -> Option<Self> {
            is_supported().then(|| Self(graviola::hashing::Sha256::new()))
        }

        pub(crate) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        /// The hash in lower-case hexadecimal digits.
        pub(crate) fn finish(self) -> String {
            const DIGITS: [u8; 16] = *b"0123456789abcdef";
            let hash = self.0.finish();
            hash.as_ref()
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .map(|digit| char::from(DIGITS[usize::from(digit)]))
                .collect()
        }
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod imp {
    use ureq::tls::TlsConfigBuilder;

    pub(crate) fn is_supported() -> bool {
        false
    }

    pub(crate) fn with_provider(builder: TlsConfigBuilder) -> TlsConfigBuilder {
        builder
    }

    /// Never made: without the instructions sizes are all that is checked.
    pub(crate) enum Sha256 {}

    impl Sha256 {
        pub(crate) fn new() -> Option<Self> {
            None
        }

        pub(crate) fn update(&mut self, _bytes: &[u8]) {
            match *self {}
        }

        pub(crate) fn finish(self) -> String {
            match self {}
        }
    }
}

pub(super) use imp::{Sha256, is_supported, with_provider};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        // The example of FIPS 180-4.
        let Some(mut hash) = Sha256::new() else {
            return;
        };
        hash.update(b"a");
        hash.update(b"bc");
        assert_eq!(
            hash.finish(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

//! Owns how byte-level tokenizers cut text before they merge: the names that GGUF has for it.

/// One way of cutting, under all of its names.
pub(super) struct Pre {
    /// The name that is written first, then others for the same.
    pub(super) names: &'static [&'static str],
    /// Regular expressions, each of which cuts what those before it left in one piece.
    pub(super) cuts: &'static [&'static str],
    /// Words that are tokens are taken whole, whatever the merges say.
    pub(super) whole_words: bool,
    /// A beginning-of-text token is added unless the file says otherwise.
    pub(super) adds_bos: bool,
    /// Text is composed first: Unicode's form NFC.
    pub(super) composed: bool,
}

const USUAL: Pre = Pre {
    names: &[],
    cuts: &[],
    whole_words: false,
    adds_bos: false,
    composed: false,
};

/// GPT-2's, which the `ByteLevel` pre-tokenizer knows by itself.
pub(super) const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// A digit, or any other number, on its own.
pub(super) const DIGIT: &str = r"\p{N}";

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

const CJK: &str = "[一-龥\u{3040}-ゟ゠-ヿ]+";

static KNOWN: &[Pre] = &[
    Pre {
        names: &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "jina-es",
            "jina-de",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v1-en",
            "jina-v2-code",
            "roberta-bpe",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "modern-bert",
            "trillion",
            "granite-docling",
        ],
        cuts: &[GPT2],
        ..USUAL
    },
    Pre {
        names: &[
            "llama-bpe",
            "llama3",
            "llama-v3",
            "falcon3",
            "falcon-h1",
            "pixtral",
            "midm-2.0",
            "lfm2",
        ],
        cuts: &[LLAMA3],
        whole_words: true,
        adds_bos: true,
        ..USUAL
    },
    Pre {
        names: &["glm4", "glm5"],
        cuts: &[LLAMA3],
        whole_words: true,
        ..USUAL
    },
    Pre {
        names: &["dbrx", "smaug-bpe", "chatglm-bpe"],
        cuts: &[LLAMA3],
        ..USUAL
    },
    Pre {
        names: &["qwen2", "deepseek-r1-qwen", "megrez"],
        cuts: &[QWEN2],
        composed: true,
        ..USUAL
    },
    Pre {
        names: &["stablelm2", "hunyuan", "solar-open", "kormo", "f2llmv2"],
        cuts: &[QWEN2],
        ..USUAL
    },
    Pre {
        names: &["qwen35"],
        cuts: &[
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        composed: true,
        ..USUAL
    },
    Pre {
        names: &[
            "starcoder",
            "refact",
            "smollm",
            "codeshell",
            "exaone",
            "minerva-7b",
            "mellum2",
        ],
        cuts: &[DIGIT, GPT2],
        ..USUAL
    },
    Pre {
        names: &["command-r"],
        cuts: &[DIGIT, GPT2],
        composed: true,
        ..USUAL
    },
    Pre {
        names: &["gpt-4o", "llama4", "kanana2"],
        cuts: &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        ..USUAL
    },
    Pre {
        names: &["tekken"],
        cuts: &[
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ],
        whole_words: true,
        adds_bos: true,
        ..USUAL
    },
    Pre {
        names: &["deepseek-v3", "hunyuan-dense", "joyai-llm"],
        cuts: &[
            r"\p{N}{1,3}",
            CJK,
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
        ],
        ..USUAL
    },
    Pre {
        names: &["deepseek-coder"],
        cuts: &[
            r"[\r\n]",
            r"\s?\p{L}+",
            r"\s?\p{P}+",
            "[一-龥ࠀ-一가-\u{d7ff}]+",
            DIGIT,
        ],
        ..USUAL
    },
    Pre {
        names: &["falcon"],
        cuts: &[
            r"[\p{P}\$\+<=>\^~\|`]+",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
            "[0-9][0-9][0-9]",
        ],
        ..USUAL
    },
    Pre {
        names: &["default"],
        cuts: &[
            r"[\p{P}\$\+<=>\^~\|]+",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
            r"\p{N}+",
            "[0-9][0-9][0-9]",
        ],
        ..USUAL
    },
];

/// What is supported, for messages.
pub(super) const NAMES: &str = "gpt-2, llama-bpe, glm4, dbrx, qwen2, stablelm2, qwen35, starcoder, command-r, gpt-4o, tekken, deepseek-v3, deepseek-coder, falcon, default and other names of these";

/// The way of cutting of that name.
pub(super) fn named(name: &str) -> Option<&'static Pre> {
    KNOWN.iter().find(|pre| pre.names.contains(&name))
}

/// The way of cutting with these expressions and flags; flags count for less.
pub(super) fn cutting(cuts: &[String], whole_words: bool, composed: bool) -> Option<&'static Pre> {
    let same = |pre: &&Pre| pre.cuts == cuts;
    let exact = |pre: &&Pre| pre.whole_words == whole_words && pre.composed == composed;
    let mut all = KNOWN.iter().filter(same);
    all.clone()
        .find(exact)
        .or_else(|| all.find(|pre| pre.whole_words == whole_words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_one_way_of_cutting() {
        let mut names: Vec<&str> = KNOWN.iter().flat_map(|pre| pre.names).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for pre in KNOWN {
            assert!(NAMES.contains(pre.names[0]), "{}", pre.names[0]);
        }
    }
}

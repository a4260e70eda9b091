//! Owns language models: tokenizer, templates, caches, sampling, generation.

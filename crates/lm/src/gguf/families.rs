//! Owns which of GGUF's architectures are which model families, and what their tensors are called.

/// An architecture: its name in GGUF files and how its tensors differ from what families take.
pub(super) struct Architecture {
    pub(super) name: &'static str,
    /// Names of tensors that differ from the usual ones, without ends such as `.weight`.
    names: &'static [(&'static str, &'static str)],
    /// What the tensors of layers are under.
    layers: &'static str,
    /// Rows of queries and keys are in the order of pairs, not of halves.
    pub(super) rows: Rows,
    /// Norms are stored with the one that the family adds.
    pub(super) norms_plus_one: bool,
    /// What experts are called that older files have one by one: the expert's number follows.
    single_experts: &'static [(&'static str, &'static str, &'static str)],
}

/// In which order the rows of projections lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// As families take them.
    AsTheyAre,
    /// Elements that turn together are neighbours in the queries and keys of each head.
    Paired,
    /// Queries of all heads, then keys, then values; the family wants them head by head.
    HeadsApart,
}

/// What tensors outside the layers are called.
const USUAL: &[(&str, &str)] = &[
    ("token_embd", "model.embed_tokens"),
    ("output_norm", "model.norm"),
    ("output", "lm_head"),
];

/// What a layer's tensors are called.
const USUAL_IN_LAYERS: &[(&str, &str)] = &[
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_qkv", "self_attn.qkv_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("attn_q_norm", "self_attn.q_norm"),
    ("attn_k_norm", "self_attn.k_norm"),
    ("post_attention_norm", "post_attention_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
    ("ffn_gate_inp", "mlp.gate"),
    ("ffn_gate_exps", "mlp.switch_mlp.gate_proj"),
    ("ffn_up_exps", "mlp.switch_mlp.up_proj"),
    ("ffn_down_exps", "mlp.switch_mlp.down_proj"),
    ("ffn_gate_inp_shexp", "mlp.shared_expert_gate"),
    ("ffn_gate_shexp", "mlp.shared_expert.gate_proj"),
    ("ffn_up_shexp", "mlp.shared_expert.up_proj"),
    ("ffn_down_shexp", "mlp.shared_expert.down_proj"),
];

const fn plain(name: &'static str) -> Architecture {
    Architecture {
        name,
        names: &[],
        layers: "model.layers",
        rows: Rows::AsTheyAre,
        norms_plus_one: false,
        single_experts: &[],
    }
}

const fn paired(name: &'static str) -> Architecture {
    Architecture {
        rows: Rows::Paired,
        ..plain(name)
    }
}

const SANDWICH: &[(&str, &str)] = &[("ffn_norm", "pre_feedforward_layernorm")];

static ARCHITECTURES: &[Architecture] = &[
    Architecture {
        names: &[
            ("ffn_gate_inp", "block_sparse_moe.gate"),
            ("ffn_gate_exps", "block_sparse_moe.switch_mlp.gate_proj"),
            ("ffn_up_exps", "block_sparse_moe.switch_mlp.up_proj"),
            ("ffn_down_exps", "block_sparse_moe.switch_mlp.down_proj"),
        ],
        single_experts: &[
            ("ffn_gate", "block_sparse_moe.experts", "gate_proj"),
            ("ffn_up", "block_sparse_moe.experts", "up_proj"),
            ("ffn_down", "block_sparse_moe.experts", "down_proj"),
        ],
        ..paired("llama")
    },
    plain("cohere2"),
    Architecture {
        norms_plus_one: true,
        ..plain("gemma")
    },
    Architecture {
        names: SANDWICH,
        norms_plus_one: true,
        ..plain("gemma2")
    },
    Architecture {
        names: SANDWICH,
        norms_plus_one: true,
        ..plain("gemma3")
    },
    Architecture {
        names: &[
            ("token_embd", "model.wte"),
            ("position_embd", "model.wpe"),
            ("output_norm", "model.ln_f"),
            // The same table as the embeddings, which older files have twice.
            ("output", ""),
            ("attn_norm", "ln_1"),
            ("ffn_norm", "ln_2"),
            ("attn_qkv", "attn.c_attn"),
            ("attn_output", "attn.c_proj"),
            ("ffn_up", "mlp.c_fc"),
            ("ffn_down", "mlp.c_proj"),
        ],
        layers: "model.h",
        ..plain("gpt2")
    },
    Architecture {
        names: &[
            ("token_embd", "model.embed_in"),
            ("output_norm", "model.final_layer_norm"),
            ("output", "model.embed_out"),
            ("attn_qkv", "attention.query_key_value"),
            ("attn_output", "attention.dense"),
            ("ffn_up", "mlp.dense_h_to_4h"),
            ("ffn_down", "mlp.dense_4h_to_h"),
        ],
        layers: "model.h",
        rows: Rows::HeadsApart,
        ..plain("gptneox")
    },
    paired("granite"),
    plain("olmo2"),
    Architecture {
        names: &[("ffn_up", "mlp.gate_up_proj")],
        ..plain("phi3")
    },
    plain("qwen2"),
    plain("qwen2moe"),
    plain("qwen3"),
    plain("qwen3moe"),
    paired("smollm3"),
    plain("stablelm"),
    Architecture {
        names: &[("ffn_up", "mlp.c_fc"), ("ffn_down", "mlp.c_proj")],
        ..plain("starcoder2")
    },
];

/// The architecture of that name.
pub(super) fn architecture(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES
        .iter()
        .find(|architecture| architecture.name == name)
}

/// Every architecture that can be read, in alphabetical order.
pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
    names.sort_unstable();
    names
}

/// What becomes of a tensor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the layer's or table's of this name; the end, such as `weight`, stays.
    Part {
        /// The full name, without its end.
        name: String,
        /// The name in GGUF, without the layer and the end.
        kind: String,
        end: &'static str,
    },
    /// The configuration has what it says.
    Known,
    /// Nobody knows it.
    Unknown,
}

impl Architecture {
    /// Where a tensor of a GGUF file belongs.
    pub(super) fn place(&self, tensor: &str) -> Place {
        let ends = [(".weight", "weight"), (".bias", "bias")];
        let Some((stem, end)) = ends
            .into_iter()
            .find_map(|(dotted, end)| Some((tensor.strip_suffix(dotted)?, end)))
        else {
            return Place::Unknown;
        };
        let (number, kind) = match stem.strip_prefix("blk.") {
            None => (None, stem),
            Some(rest) => match rest.split_once('.') {
                Some((number, kind)) if is_number(number) => (Some(number), kind),
                _ => return Place::Unknown,
            },
        };
        let derived = ["rope_freqs", "rope_factors_long", "rope_factors_short"];
        if derived.contains(&kind) || (number.is_some() && kind == "attn_rot_embd") {
            return Place::Known;
        }
        if let Some(place) = self.single_expert(number, kind, end) {
            return place;
        }
        let usual = if number.is_some() {
            USUAL_IN_LAYERS
        } else {
            USUAL
        };
        let outside =
            |kind: &str| ["token_embd", "position_embd", "output_norm", "output"].contains(&kind);
        let mut known = self.names.iter().chain(usual);
        let found = known.find(|(own, _)| *own == kind && outside(kind) == number.is_none());
        match (found, number) {
            (None, _) => Place::Unknown,
            (Some((_, "")), _) => Place::Known,
            (Some((_, name)), None) => Place::Part {
                name: (*name).to_owned(),
                kind: kind.to_owned(),
                end,
            },
            (Some((_, name)), Some(number)) => Place::Part {
                name: format!("{}.{number}.{name}", self.layers),
                kind: kind.to_owned(),
                end,
            },
        }
    }

    /// Where a tensor `blk.LAYER.KIND.EXPERT.END` belongs, if it is one.
    fn single_expert(&self, layer: Option<&str>, kind: &str, end: &'static str) -> Option<Place> {
        let (kind, expert) = kind.split_once('.')?;
        let mut known = self.single_experts.iter();
        let (_, experts, name) = known.find(|(own, ..)| *own == kind && is_number(expert))?;
        Some(Place::Part {
            name: format!("{}.{}.{experts}.{expert}.{name}", self.layers, layer?),
            kind: kind.to_owned(),
            end,
        })
    }

    /// The name in GGUF files of a part of a family.
    pub(super) fn stored_name(&self, part: &str) -> Option<String> {
        let (stem, end) = part.rsplit_once('.')?;
        let layer = stem.strip_prefix(self.layers).and_then(|rest| {
            let (number, name) = rest.strip_prefix('.')?.split_once('.')?;
            is_number(number).then_some((number, name))
        });
        let (usual, name) = match layer {
            Some((_, name)) => (USUAL_IN_LAYERS, name),
            None => (USUAL, stem),
        };
        // `ffn_norm` and `post_attention_norm` have the same name in families: the latter occurs only
        // where the former has another one.
        let mut known = self.names.iter().chain(usual);
        let (kind, _) = known.rfind(|(_, own)| *own == name)?;
        Some(match layer {
            Some((number, _)) => format!("blk.{number}.{kind}.{end}"),
            None => format!("{kind}.{end}"),
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() < 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(architecture: &str, tensor: &str) -> String {
        match super::architecture(architecture).unwrap().place(tensor) {
            Place::Part { name, end, .. } => format!("{name}.{end}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn tensors_have_the_names_of_families() {
        for (architecture, tensor, expected) in [
            (
                "llama",
                "blk.12.attn_q.weight",
                "model.layers.12.self_attn.q_proj.weight",
            ),
            (
                "llama",
                "blk.0.ffn_gate_inp.weight",
                "model.layers.0.block_sparse_moe.gate.weight",
            ),
            ("llama", "rope_freqs.weight", "Known"),
            (
                "qwen2",
                "blk.3.attn_k.bias",
                "model.layers.3.self_attn.k_proj.bias",
            ),
            (
                "gemma2",
                "blk.1.ffn_norm.weight",
                "model.layers.1.pre_feedforward_layernorm.weight",
            ),
            (
                "gemma2",
                "blk.1.post_attention_norm.weight",
                "model.layers.1.post_attention_layernorm.weight",
            ),
            ("gpt2", "output.weight", "Known"),
            ("gpt2", "blk.1.attn_qkv.bias", "model.h.1.attn.c_attn.bias"),
            (
                "qwen3moe",
                "blk.1.ffn_up_exps.weight",
                "model.layers.1.mlp.switch_mlp.up_proj.weight",
            ),
            (
                "llama",
                "blk.1.ffn_down.7.weight",
                "model.layers.1.block_sparse_moe.experts.7.down_proj.weight",
            ),
            ("llama", "blk.1.ffn_down.x.weight", "Unknown"),
            ("qwen3moe", "blk.1.ffn_down.7.weight", "Unknown"),
            ("qwen3", "blk.x.attn_q.weight", "Unknown"),
            ("qwen3", "blk.1.token_embd.weight", "Unknown"),
            ("qwen3", "attn_q.weight", "Unknown"),
            ("qwen3", "blk.1.attn_q.scale", "Unknown"),
        ] {
            assert_eq!(
                part(architecture, tensor),
                expected,
                "{tensor} of {architecture}"
            );
        }
    }

    #[test]
    fn names_come_back() {
        for (name, tensor) in [
            ("llama", "blk.7.ffn_up_exps.weight"),
            ("llama", "blk.7.ffn_gate_inp.weight"),
            ("qwen2moe", "blk.7.ffn_gate_inp_shexp.weight"),
            ("qwen2moe", "blk.7.ffn_down_shexp.weight"),
            ("qwen3moe", "blk.7.ffn_down_exps.weight"),
        ] {
            let stored = architecture(name).unwrap().stored_name(&part(name, tensor));
            assert_eq!(stored.as_deref(), Some(tensor));
        }
        for name in ["llama", "qwen2", "qwen3"] {
            let architecture = architecture(name).unwrap();
            for tensor in [
                "token_embd.weight",
                "output.weight",
                "output_norm.weight",
                "blk.7.attn_norm.weight",
                "blk.7.attn_v.weight",
                "blk.7.attn_q_norm.weight",
                "blk.7.attn_output.bias",
                "blk.7.ffn_norm.weight",
                "blk.7.ffn_down.weight",
            ] {
                assert_eq!(
                    architecture.stored_name(&part(name, tensor)).as_deref(),
                    Some(tensor)
                );
            }
            assert_eq!(
                architecture.stored_name("model.layers.x.mlp.up_proj.weight"),
                None
            );
            assert_eq!(architecture.stored_name("visual.weight"), None);
        }
    }
}

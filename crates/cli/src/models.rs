//! Owns `olivine models`: what was downloaded, what it takes, and removing it.

use std::io::{BufRead, IsTerminal as _, Write};
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use indicatif::DecimalBytes;
use olivine_lm::{CachedModel, CachedRevision, Hub, HubError, HubModel, ModelSummary};
use serde_json::{Value, json};

use crate::error::{CliError, Exit, say};

const EXAMPLES: &str = "\
Examples:
  olivine generate --model mlx-community/SmolLM-135M-Instruct-4bit --prompt \"Hi\"
      Downloads a model the first time, and uses the download from then on.
  olivine models list
      What is there, how large it is, and when it was last used.
  olivine models rm mlx-community/SmolLM-135M-Instruct-4bit
      Removes a model; NAME@REVISION removes one revision of it.

Models are kept where the Python package huggingface_hub keeps them: in HF_HUB_CACHE, in hub below
HF_HOME, or in ~/.cache/huggingface/hub. HF_TOKEN opens private and gated models, HF_ENDPOINT is
another server, and HF_HUB_OFFLINE=1 uses only what is there.";

const LIST_EXAMPLES: &str = "\
Examples:
  olivine models list
  olivine models list --json | jq -r '.[] | select(.size_on_disk > 1e9) | .name'
      The names of all models above a gigabyte.";

const SHOW_EXAMPLES: &str = "\
Examples:
  olivine models show mlx-community/SmolLM-135M-Instruct-4bit
  olivine models show org/name@refs/pr/1
      Another revision than main: a branch, a tag or the beginning of a commit.
  cd \"$(olivine models show org/name --json | jq -r .path)\"
      The folder with the model's files.";

const RM_EXAMPLES: &str = "\
Examples:
  olivine models rm org/name
      Asks, then removes all revisions and unfinished downloads.
  olivine models rm org/name@v1 --yes
      Removes one revision without asking; files that others share stay.";

/// List, describe and remove downloaded models.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Models {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the downloaded models
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print an array of JSON objects instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Describe a downloaded model and its files
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// The model, as org/name or org/name@revision
        name: HubModel,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove a downloaded model and say how much that frees
    #[command(after_help = RM_EXAMPLES)]
    Rm {
        /// The model, as org/name, or one revision of it, as org/name@revision
        name: HubModel,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

impl Models {
    pub(crate) fn run(&self) -> Result<Exit, CliError> {
        let hub = Hub::from_env()?;
        let mut out = std::io::stdout().lock();
        match &self.action {
            Action::List { json } => list(&hub, *json, SystemTime::now(), &mut out),
            Action::Show { name, json } => show(&hub, name, *json, &mut out),
            Action::Rm { name, yes } => {
                let stdin = std::io::stdin();
                let terminal = stdin.is_terminal();
                remove(&hub, name, *yes, terminal.then(|| stdin.lock()), &mut out)
            }
        }
    }
}

fn list(hub: &Hub, json: bool, now: SystemTime, out: &mut impl Write) -> Result<Exit, CliError> {
    let models = hub.models()?;
    if json {
        let models: Vec<Value> = models.iter().map(model_json).collect();
        write(out, &format!("{:#}\n", Value::from(models)))?;
        return Ok(Exit::Success);
    }
    if models.is_empty() {
        say(&format!(
            "no models in {}; `olivine generate --model org/name` downloads one",
            hub.cache().display()
        ));
        return Ok(Exit::Success);
    }
    let head = [
        "NAME",
        "REVISION",
        "SIZE",
        "FILES",
        "TYPE",
        "QUANTIZATION",
        "LAST USED",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    for model in &models {
        rows.extend(model_rows(model, now));
    }
    write(out, &table(&rows))?;
    let total: u64 = models.iter().map(|model| model.size_on_disk).sum();
    write(
        out,
        &format!("\n{} in {}\n", DecimalBytes(total), hub.cache().display()),
    )?;
    Ok(Exit::Success)
}

/// A row for each revision, and one for what an interrupted download left.
fn model_rows(model: &CachedModel, now: SystemTime) -> Vec<[String; 7]> {
    let absent = || "-".to_owned();
    let mut rows: Vec<_> = model
        .revisions
        .iter()
        .map(|revision| {
            let summary = ModelSummary::of_config(&revision.path);
            [
                model.name.clone(),
                revision_name(revision),
                DecimalBytes(revision.size).to_string(),
                revision.files.len().to_string(),
                summary.model_type.unwrap_or_else(absent),
                summary.quantization.unwrap_or_else(absent),
                revision
                    .last_used
                    .map_or_else(absent, |time| ago(time, now)),
            ]
        })
        .collect();
    if model.unfinished > 0 || rows.is_empty() {
        rows.push([
            model.name.clone(),
            "(unfinished)".to_owned(),
            DecimalBytes(model.unfinished).to_string(),
            absent(),
            absent(),
            absent(),
            absent(),
        ]);
    }
    rows
}

/// Branches and tags, or the beginning of the commit where there are none.
fn revision_name(revision: &CachedRevision) -> String {
    let short = revision.commit.get(..7).unwrap_or(&revision.commit);
    let mut name = match revision.refs.as_slice() {
        [] => short.to_owned(),
        refs => format!("{} ({short})", refs.join(", ")),
    };
    if !revision.complete {
        name.push_str(" in part");
    }
    name
}

fn model_json(model: &CachedModel) -> Value {
    let mut object = json!(model);
    for (value, revision) in object["revisions"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(&model.revisions)
    {
        let summary = ModelSummary::of_config(&revision.path);
        value["model_type"] = json!(summary.model_type);
        value["quantization"] = json!(summary.quantization);
    }
    object
}

fn show(hub: &Hub, name: &HubModel, json: bool, out: &mut impl Write) -> Result<Exit, CliError> {
    let model = hub.find(name)?;
    let Some(revision) = model.revision(name.revision()) else {
        let error = match name.revision() {
            Some(revision) => HubError::NoRevision {
                model: name.id().to_owned(),
                revision: revision.to_owned(),
            },
            None => HubError::NotCached {
                model: format!("revision main of {name}"),
            },
        };
        return Err(olivine_lm::Error::from(error).into());
    };
    let summary = ModelSummary::read(&revision.path);
    if json {
        let mut object = json!(revision);
        object["name"] = json!(model.name);
        if let (Value::Object(object), Value::Object(summary)) = (&mut object, json!(summary)) {
            object.extend(summary);
        }
        write(out, &format!("{object:#}\n"))?;
        return Ok(Exit::Success);
    }
    let unknown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    let facts = [
        ("name", model.name.clone()),
        ("revision", revision_name(revision)),
        ("commit", revision.commit.clone()),
        ("path", revision.path.display().to_string()),
        ("size", DecimalBytes(revision.size).to_string()),
        ("model type", unknown(summary.model_type)),
        ("parameters", unknown(summary.parameters.map(parameters))),
        ("dtype", unknown(summary.dtype)),
        (
            "quantization",
            summary.quantization.unwrap_or_else(|| "none".to_owned()),
        ),
        ("licence", unknown(summary.licence)),
    ];
    for (name, value) in facts {
        write(out, &format!("{name:<12}  {value}\n"))?;
    }
    write(out, "files\n")?;
    let widest = revision.files.iter().map(|file| file.name.len()).max();
    for file in &revision.files {
        let width = widest.unwrap_or_default();
        let size = DecimalBytes(file.size);
        write(out, &format!("  {:<width$}  {size}\n", file.name))?;
    }
    Ok(Exit::Success)
}

/// Removes a model; `answer` is where a person can be asked.
fn remove(
    hub: &Hub,
    name: &HubModel,
    yes: bool,
    answer: Option<impl BufRead>,
    out: &mut impl Write,
) -> Result<Exit, CliError> {
    let bytes = DecimalBytes(hub.removable(name)?);
    if !yes {
        let Some(mut answer) = answer else {
            return Err(CliError::NeedsYes(name.to_string()));
        };
        write!(std::io::stderr(), "remove {name} and free {bytes}? [y/N] ").ok();
        let mut line = String::new();
        answer.read_line(&mut line).map_err(CliError::ReadAnswer)?;
        if !matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            say("nothing was removed");
            return Ok(Exit::Success);
        }
    }
    let freed = DecimalBytes(hub.remove(name)?);
    write(out, &format!("removed {name}, {freed} freed\n"))?;
    Ok(Exit::Success)
}

/// Rows with columns as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// How long ago a time was, in the largest unit.
fn ago(time: SystemTime, now: SystemTime) -> String {
    const UNITS: [(&str, u64); 5] = [
        ("year", 365 * 86_400),
        ("month", 30 * 86_400),
        ("day", 86_400),
        ("hour", 3600),
        ("minute", 60),
    ];
    let seconds = now
        .duration_since(time)
        .map_or(0, |passed: Duration| passed.as_secs());
    for (unit, length) in UNITS {
        let count = seconds / length;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural} ago");
        }
    }
    "just now".to_owned()
}

/// A number of parameters as people say it, with the exact one.
fn parameters(count: u64) -> String {
    let short = match count {
        0..1_000 => return count.to_string(),
        1_000..1_000_000 => format!("{:.1} thousand", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} million", count as f64 / 1e6),
        _ => format!("{:.2} billion", count as f64 / 1e9),
    };
    format!("{short} ({count})")
}

fn write(out: &mut impl Write, text: &str) -> Result<(), CliError> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(CliError::Write)
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;

//! Owns the checks on whole runs, with a model small enough to train in a moment.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use olivine_core::Array;
use olivine_demo::checkpoint::{self, Checkpoint};
use olivine_demo::data::{Data, prepare};
use olivine_demo::job::{Job, Outcome, Start, Wishes};
use olivine_demo::recipe::{ModelSize, Recipe};
use olivine_demo::training::Training;
use olivine_demo::{Error, Result};
use olivine_nn::Parameters;

fn tiny(steps: u64) -> Recipe {
    Recipe {
        steps,
        batch: 4,
        seq: 48,
        learning_rate: 1e-2,
        model: ModelSize {
            layers: 2,
            width: 32,
            heads: 4,
            kv_heads: 2,
            inner: 64,
        },
        tokenizer_documents: 300,
        held_out_tokens: 1000,
        ..Recipe::default()
    }
}

fn job(folder: &Path, steps: u64) -> Job {
    Job {
        out: folder.join("out"),
        model_dir: folder.join("model"),
        start: Start::New,
        wishes: Wishes::default(),
        base: tiny(steps),
        quiet: true,
    }
}

fn run(job: &Job) -> Result<Outcome> {
    job.run(&AtomicBool::new(false))
}

fn data(recipe: &Recipe, folder: &Path) -> Data {
    prepare(recipe, folder, |_| ProgressBar::hidden()).expect("prepares")
}

fn bits(parameters: &Parameters) -> Vec<(&str, Vec<u32>)> {
    let bits = |array: &Array| -> Vec<u32> {
        if array.dtype() == olivine_core::Dtype::Uint64 {
            return vec![array.item::<u64>().expect("a counter") as u32];
        }
        array
            .to_vec::<f32>()
            .expect("floats")
            .into_iter()
            .map(f32::to_bits)
            .collect()
    };
    parameters
        .iter()
        .map(|(name, array)| (name.as_str(), bits(array)))
        .collect()
}

fn take_steps(training: &mut Training, count: usize) {
    for _ in 0..count {
        training.step().expect("steps");
    }
}

#[test]
fn a_run_makes_a_folder_whose_model_writes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let job = job(folder.path(), 14);
    let Outcome::Finished(finished) = run(&job).expect("runs") else {
        panic!("nobody interrupted it");
    };
    let (facts, samples) = *finished;
    let curve = Checkpoint::load(&checkpoint::path(&job.out))
        .expect("loads")
        .curve;
    assert_eq!(curve.train.len(), 14);
    assert!(curve.train[13] < curve.train[0] - 1.0, "{:?}", curve.train);
    assert_eq!(
        curve
            .held_out
            .iter()
            .map(|(step, _)| *step)
            .collect::<Vec<_>>(),
        [0, 14]
    );
    assert!(curve.held_out[1].1 < curve.held_out[0].1 - 1.0);
    assert!(
        (facts.held_out_loss - curve.held_out[1].1).abs() < 0.2,
        "{facts:?}"
    );
    assert_eq!(samples.all.len(), 7);
    assert!(samples.all.iter().any(|sample| !sample.text.is_empty()));

    let model = olivine_io::load_safetensors(job.model_dir.join("model.safetensors"));
    let model = model.expect("loads");
    assert!(
        model
            .arrays()
            .all(|entry| entry.expect("reads").1.dtype().to_string() == "bfloat16")
    );
    let card = fs::read_to_string(job.model_dir.join("README.md")).expect("exists");
    assert!(card.contains(&format!(
        "| held-out loss of the shipped weights | {:.3} |",
        facts.held_out_loss
    )));
    assert!(card.contains("> **What color is the sky?**"));
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "loss.svg",
    ] {
        assert!(job.model_dir.join(name).is_file(), "{name}");
    }

    // What is there is neither overwritten nor resumed as something else.
    assert!(matches!(
        run(&job),
        Err(Error::CheckpointExists {
            step: 14,
            steps: 14,
            ..
        })
    ));
    let wishes = Wishes {
        steps: Some(20),
        ..Wishes::default()
    };
    let other = Job {
        start: Start::Resume,
        wishes,
        ..job.clone()
    };
    let error = run(&other).expect_err("refused").to_string();
    assert!(error.contains("--steps 14, not 20"), "{error}");

    // Resuming a finished run writes the folder again, and starting over gives the same model.
    let weights = |job: &Job| fs::read(job.model_dir.join("model.safetensors")).expect("exists");
    let first = weights(&job);
    for start in [Start::Resume, Start::Fresh] {
        fs::remove_dir_all(&job.model_dir).expect("was there");
        run(&Job {
            start,
            ..job.clone()
        })
        .expect("runs");
        assert_eq!(weights(&job), first, "{start:?}");
    }
}

#[test]
fn a_resumed_run_goes_on_as_if_it_had_never_stopped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let recipe = tiny(4);
    let data = data(&recipe, folder.path());
    let mut whole = Training::new(&recipe, &data).expect("starts");
    whole.measure().expect("measures");
    take_steps(&mut whole, 4);
    whole.measure().expect("measures");

    let mut first = Training::new(&recipe, &data).expect("starts");
    first.measure().expect("measures");
    take_steps(&mut first, 2);
    let path = folder.path().join("half.safetensors");
    first.checkpoint().save(&path).expect("saves");
    let loaded = Checkpoint::load(&path).expect("loads");
    let mut second = Training::resume(loaded, &data).expect("resumes");
    assert_eq!(second.step_count(), 2);
    take_steps(&mut second, 2);
    second.measure().expect("measures");

    let (whole, resumed) = (whole.checkpoint(), second.checkpoint());
    assert_eq!(whole.curve, resumed.curve);
    assert_eq!(bits(&whole.model), bits(&resumed.model));
    assert_eq!(bits(&whole.optimizer), bits(&resumed.optimizer));
    assert_ne!(bits(&whole.model), bits(&first.checkpoint().model));
    assert!(second.is_finished());
}

#[test]
fn an_interrupted_run_leaves_a_checkpoint_to_go_on_from() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let job = job(folder.path(), 3);
    let outcome = job.run(&AtomicBool::new(true)).expect("stops");
    assert!(matches!(outcome, Outcome::Interrupted(progress) if progress.step == 0));
    assert!(!job.model_dir.join("model.safetensors").exists());
    assert!(matches!(
        run(&job),
        Err(Error::CheckpointExists {
            step: 0,
            steps: 3,
            ..
        })
    ));
    let resumed = run(&Job {
        start: Start::Resume,
        ..job.clone()
    })
    .expect("resumes");
    assert!(matches!(resumed, Outcome::Finished(_)));
}

#[test]
fn a_loss_that_is_not_a_number_ends_the_run_and_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let job = job(folder.path(), 3);
    let recipe = tiny(3);
    let training = Training::new(&recipe, &data(&recipe, &job.out)).expect("starts");
    let mut broken = training.checkpoint();
    let norm = broken
        .model
        .get_mut("model.norm.weight")
        .expect("has a norm");
    *norm = norm.multiply(f32::NAN).expect("multiplies");
    let path = checkpoint::path(&job.out);
    broken.save(&path).expect("saves");
    let before = fs::read(&path).expect("exists");
    let error = run(&Job {
        start: Start::Resume,
        ..job.clone()
    })
    .expect_err("fails");
    assert!(matches!(error, Error::NotFinite { step: 1, .. }), "{error}");
    assert!(
        error.to_string().contains("lower --lr than 0.01"),
        "{error}"
    );
    assert_eq!(fs::read(&path).expect("exists"), before);
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let job = Job {
        start: Start::Resume,
        ..job(folder.path(), 3)
    };
    assert!(matches!(run(&job), Err(Error::NoCheckpoint { .. })));
    fs::create_dir_all(&job.out).expect("makes");
    let path = checkpoint::path(&job.out);
    let array = Array::scalar(1.0f32);
    olivine_io::save_safetensors(&path, [("x", &array)], &olivine_io::Metadata::new())
        .expect("saves");
    let error = run(&job).expect_err("refused");
    assert!(
        matches!(
            run(&job),
            Err(Error::Checkpoint { .. } | Error::ArrayFile(_))
        ),
        "{error}"
    );
    fs::write(&path, b"short").expect("writes");
    assert!(matches!(run(&job), Err(Error::ArrayFile(_))));
}

fn command(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_olivine-demo"));
    command.current_dir(folder).arg("train").args(arguments);
    command.output().expect("starts")
}

#[test]
fn the_command_refuses_in_one_line_and_explains_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (arguments, code, expected) in [
        (
            &["--steps", "0"][..],
            1,
            "error: --steps 0: at least one is needed",
        ),
        (
            &["--lr", "-1"],
            1,
            "error: --lr -1: a learning rate is above 0 and at most 1",
        ),
        (
            &["--seq", "4096"],
            1,
            "error: --seq 4096: a row has between 2 and 512 tokens",
        ),
        (&["--resume"], 1, "does not exist: leave --resume out"),
        (&["--resume", "--fresh"], 2, "cannot be used with"),
    ] {
        let output = command(folder.path(), arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(code == 2 || text.trim_end().lines().count() == 1, "{text}");
    }
    assert_eq!(fs::read_dir(folder.path()).expect("exists").count(), 0);
    let help = command(folder.path(), &["--help"]);
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(
        text.contains("--resume") && text.contains("Examples:"),
        "{text}"
    );
}

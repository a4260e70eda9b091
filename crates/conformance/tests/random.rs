//! Owns the comparison of random numbers with the reference, bit for bit.

use olivine_core::{Array, Dtype, Result, bf16, f16, random};
use olivine_cpu as _;
use serde_json::Value;

/// One case of `golden/random.json`.
struct Case<'a>(&'a Value);

impl Case<'_> {
    fn op(&self) -> &str {
        self.0["op"].as_str().expect("every case has an op")
    }

    fn integers(&self, field: &str) -> Vec<i64> {
        let list = self.0[field]
            .as_array()
            .unwrap_or_else(|| panic!("{field} in {}", self.0));
        list.iter()
            .map(|n| n.as_i64().expect("small integers"))
            .collect()
    }

    fn integer(&self, field: &str) -> Option<i64> {
        self.0[field].as_i64()
    }

    fn float(&self, field: &str) -> Option<f32> {
        self.integer(field).map(|bits| f32::from_bits(bits as u32))
    }

    fn shape(&self, field: &str) -> Vec<usize> {
        self.integers(field)
            .into_iter()
            .map(|n| n as usize)
            .collect()
    }

    fn key(&self) -> Result<Array> {
        let words: Vec<u32> = self.integers("key").into_iter().map(|n| n as u32).collect();
        Array::from_slice(&words, [2])
    }

    fn dtype(&self) -> Dtype {
        let name = self.0["dtype"].as_str().expect("every case has a dtype");
        Dtype::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .expect("a known dtype")
    }

    /// Draws what the case describes.
    fn draw(&self) -> Result<Array> {
        let (shape, dtype) = (self.shape("shape"), self.dtype());
        match self.op() {
            "key" => Ok(random::key(self.0["seed"].as_u64().expect("a seed"))),
            "split" => random::split(&self.key()?, shape[0]),
            "uniform" => {
                let (low, high) = (self.float("low_bits"), self.float("high_bits"));
                let draw = random::Uniform::new(shape).dtype(dtype).key(&self.key()?);
                draw.low(low.expect("a low end"))
                    .high(high.expect("a high end"))
                    .sample()
            }
            "normal" => {
                let mut draw = random::Normal::new(shape).dtype(dtype).key(&self.key()?);
                if let Some(loc) = self.float("loc_bits") {
                    draw = draw.loc(loc);
                }
                if let Some(scale) = self.float("scale_bits") {
                    draw = draw.scale(scale);
                }
                draw.sample()
            }
            "normal_at" => {
                let length = self.integer("length").expect("a length") as usize;
                let all = random::Normal::new([length]).key(&self.key()?).sample()?;
                let all = all.to_vec::<f32>()?;
                let at = self
                    .integers("positions")
                    .into_iter()
                    .map(|i| all[i as usize]);
                Array::from_slice(&at.collect::<Vec<_>>(), shape)
            }
            "gumbel" => random::Gumbel::new(shape).key(&self.key()?).sample(),
            "bernoulli" => {
                let p = self.float("p_bits").expect("a probability");
                random::Bernoulli::new(p)
                    .shape(shape)
                    .key(&self.key()?)
                    .sample()
            }
            "randint" => {
                let (low, high) = (self.integer("low"), self.integer("high"));
                let (low, high) = (low.expect("a low end"), high.expect("a high end"));
                random::Randint::new(shape, low, high)
                    .dtype(dtype)
                    .key(&self.key()?)
                    .sample()
            }
            "permutation" => random::Permutation::new(shape[0])
                .key(&self.key()?)
                .sample(),
            "categorical" => {
                let logits = self.integers("logits_bits").into_iter();
                let logits: Vec<f32> = logits.map(|bits| f32::from_bits(bits as u32)).collect();
                let logits = Array::from_slice(&logits, self.shape("logits_shape"))?;
                let axis = self.integer("axis").expect("an axis");
                let mut draw = random::Categorical::new(&logits)
                    .axis(axis)
                    .key(&self.key()?);
                if let Some(count) = self.integer("num_samples") {
                    draw = draw.samples(count as usize);
                }
                if self.0.get("to_shape").is_some() {
                    draw = draw.shape(self.shape("to_shape"));
                }
                draw.sample()
            }
            "default_state" => {
                random::seed(self.0["seed"].as_u64().expect("a seed"));
                let draws = self.0["draws"].as_array().expect("a list of draws");
                let mut values = Vec::new();
                for draw in draws {
                    values.extend(match draw.as_str() {
                        Some("uniform") => random::uniform([3])?.to_vec::<f32>()?,
                        Some("normal") => random::normal([3])?.to_vec::<f32>()?,
                        _ => panic!("unknown draw {draw}"),
                    });
                }
                Array::from_slice(&values, shape)
            }
            op => panic!("no test for {op}"),
        }
    }
}

/// Elements as the golden file writes them: bit patterns of floats, integers as they are.
fn encode(x: &Array) -> Result<Vec<i64>> {
    Ok(match x.dtype() {
        Dtype::Float16 => x
            .to_vec::<f16>()?
            .iter()
            .map(|v| i64::from(v.to_bits()))
            .collect(),
        Dtype::BFloat16 => x
            .to_vec::<bf16>()?
            .iter()
            .map(|v| i64::from(v.to_bits()))
            .collect(),
        Dtype::Float32 => x
            .to_vec::<f32>()?
            .iter()
            .map(|v| i64::from(v.to_bits()))
            .collect(),
        Dtype::Complex64 => {
            let parts = x.to_vec::<olivine_core::Complex64>()?;
            parts
                .iter()
                .flat_map(|v| [v.re, v.im])
                .map(|v| i64::from(v.to_bits()))
                .collect()
        }
        _ => x.astype(Dtype::Int64)?.to_vec::<i64>()?,
    })
}

/// True if numbers agree: all bits, but for distributions that take a logarithm, whose last bit
/// depends on the platform's.
fn agrees(op: &str, got: &[i64], expected: &[i64]) -> bool {
    if op != "gumbel" {
        return got == expected;
    }
    let value = |bits: &i64| f32::from_bits(*bits as u32);
    let close = |(a, b): (&i64, &i64)| {
        let (a, b) = (value(a), value(b));
        (a - b).abs() <= 1e-6 + 1e-6 * b.abs()
    };
    got.len() == expected.len() && got.iter().zip(expected).all(close)
}

#[test]
fn draws_are_those_of_the_reference() -> Result<()> {
    let golden = include_str!("../golden/random.json");
    let golden: Value = serde_json::from_str(golden).expect("the golden file is JSON");
    let cases = golden["cases"].as_array().expect("a list of cases");
    assert!(cases.len() > 250, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for case in cases {
        let case = Case(case);
        let drawn = case.draw()?;
        let (got, expected) = (encode(&drawn)?, case.integers("out"));
        if drawn.shape()[..] != case.shape("shape")
            || drawn.dtype() != case.dtype()
            || !agrees(case.op(), &got, &expected)
        {
            failures.push(format!(
                "{}\n    got {got:?} of shape {}",
                case.0,
                drawn.shape()
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    Ok(())
}

#[test]
fn batches_of_keys_draw_what_each_key_draws() -> Result<()> {
    for dtype in [Dtype::Uint8, Dtype::Uint16, Dtype::Uint32] {
        for count in [0, 1, 2, 3, 5, 8, 1001] {
            let keys = random::split(&random::key(9), 4)?;
            let primitive = random::RandomBits {
                shape: [count].into(),
                dtype,
            };
            // A transposed copy of the keys, turned back, is a strided view.
            let strided = keys.transpose(..)?.contiguous()?.transpose(..)?;
            let drawn = encode(&Array::apply_one(primitive, [strided])?)?;
            let keys = keys.to_vec::<u32>()?;
            let mut expected = Vec::new();
            for key in keys.chunks(2) {
                let key = Array::from_slice(key, [2])?;
                expected.extend(encode(
                    &random::Bits::new([count]).dtype(dtype).key(&key).sample()?,
                )?);
            }
            assert_eq!(drawn, expected, "{count} of {dtype}");
        }
    }
    Ok(())
}

#[test]
fn narrow_bits_are_the_bytes_of_wide_ones() -> Result<()> {
    let key = random::key(5);
    let words = random::Bits::new([7]).key(&key).sample()?.to_vec::<u32>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let drawn = random::Bits::new([28])
        .dtype(Dtype::Uint8)
        .key(&key)
        .sample()?
        .to_vec::<u8>()?;
    assert_eq!(drawn, bytes);
    Ok(())
}

#[test]
fn many_threads_draw_what_one_draws() -> Result<()> {
    // Long enough to be split among threads, and odd.
    let count = 1_000_003;
    let drawn = random::Bits::new([count])
        .key(&random::key(1))
        .sample()?
        .to_vec::<u32>()?;
    let (half, key) = (count / 2, [0, 1]);
    for i in [0, 1, half - 1, half / 3] {
        let block = random::threefry2x32(key, [i as u32, (half + 1 + i) as u32]);
        assert_eq!([drawn[i], drawn[half + 1 + i]], block, "{i}");
    }
    assert_eq!(drawn[half], random::threefry2x32(key, [half as u32, 0])[0]);
    Ok(())
}

#[test]
fn wrong_arguments_are_errors() {
    let key = random::key(0);
    let not_a_key = Array::scalar(0u32);
    assert!(random::Bits::new([2]).key(&not_a_key).sample().is_err());
    assert!(
        random::Bits::new([2])
            .dtype(Dtype::Int32)
            .key(&key)
            .sample()
            .is_err()
    );
    assert!(
        random::Uniform::new([2])
            .dtype(Dtype::Float64)
            .sample()
            .is_err()
    );
    assert!(
        random::Uniform::new([2])
            .low(Array::zeros([3], Dtype::Float32).unwrap())
            .sample()
            .is_err()
    );
    assert!(
        random::Normal::new([2])
            .dtype(Dtype::Int32)
            .sample()
            .is_err()
    );
    assert!(
        random::Randint::new([2], 0, 5)
            .dtype(Dtype::Float32)
            .sample()
            .is_err()
    );
    assert!(
        random::Bernoulli::new(Array::scalar(1i32))
            .sample()
            .is_err()
    );
    assert!(random::categorical(&Array::scalar(1.0f32)).is_err());
    assert!(random::categorical(&Array::zeros([2, 0], Dtype::Float32).unwrap()).is_err());
    assert!(random::set_state(&Array::zeros([3], Dtype::Uint32).unwrap()).is_err());
}

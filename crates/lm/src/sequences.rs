//! Owns the sequences that one pass of a model works on.

use olivine_core::{Array, Result, concatenate};

use crate::Cache;

/// The sequences whose tokens one pass of a model takes, and what is remembered of each.
///
/// Several sequences are fed one after the other along the axis of tokens, whatever their
/// lengths: layers that work on single tokens do not tell them apart, and those that mix tokens
/// ask for [`Sequences::each`]. So no sequence is padded, and none influences another.
///
/// ```
/// # use olivine_cpu as _;
/// use olivine_core::array;
/// use olivine_lm::{ModelFolder, Sequences, models};
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
/// let model = models::load(&ModelFolder::open(path)?)?;
/// let (mut one, mut other) = (model.caches(), model.caches());
/// // Three tokens of one text and two of another.
/// let mut both = Sequences::many([(3, &mut one[..]), (2, &mut other[..])]);
/// let hidden = model.hidden(&array!([[5, 6, 7, 8, 9]]), &mut both)?;
/// assert_eq!(hidden.shape().dims(), &[1, 5, 256]);
/// assert_eq!((one[0].len(), other[0].len()), (3, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sequences<'a> {
    rows: Vec<Row<'a>>,
    /// How many of the last tokens the final hidden states are wanted of, if not of all.
    wanted: Option<usize>,
}

struct Row<'a> {
    tokens: usize,
    caches: Option<&'a mut [Cache]>,
}

impl<'a> Sequences<'a> {
    /// Whole sequences of one length, of which nothing is remembered: the axis of the batch
    /// tells them apart.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, Sequences, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let hidden = model.hidden(&array!([[1, 2], [3, 4]]), &mut Sequences::forgotten())?;
    /// assert_eq!(hidden.shape().dims(), &[2, 2, 256]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn forgotten() -> Self {
        Sequences {
            rows: vec![Row {
                tokens: 0,
                caches: None,
            }],
            wanted: None,
        }
    }

    /// One sequence, or several of one length along the axis of the batch, with a cache for each
    /// layer.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, Sequences, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut caches = model.caches();
    /// model.hidden(&array!([[1, 2, 3]]), &mut Sequences::one(&mut caches))?;
    /// assert_eq!(caches[0].len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn one(caches: &'a mut [Cache]) -> Self {
        Sequences {
            rows: vec![Row {
                tokens: 0,
                caches: Some(caches),
            }],
            wanted: None,
        }
    }

    /// The same sequence, of whose last `tokens` only the final hidden states are wanted: models may leave
    /// out the others, once their caches have seen them.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{ModelFolder, Sequences, models};
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/olivine-tiny-stories");
    /// let model = models::load(&ModelFolder::open(path)?)?;
    /// let mut caches = model.caches();
    /// let mut sequence = Sequences::one(&mut caches).wanting(1);
    /// let hidden = model.hidden(&array!([[1, 2, 3]]), &mut sequence)?;
    /// assert_eq!(hidden.shape().dims(), &[1, 1, 256]);
    /// assert_eq!(caches[0].len(), 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wanting(mut self, tokens: usize) -> Self {
        // Several sequences lie one after the other, and so would their last tokens.
        self.wanted = (self.rows.len() == 1).then_some(tokens);
        self
    }

    /// How many of the last tokens the final hidden states are wanted of, if not of all.
    ///
    /// ```
    /// use olivine_lm::Sequences;
    /// assert_eq!(Sequences::forgotten().wanted(), None);
    /// assert_eq!(Sequences::forgotten().wanting(2).wanted(), Some(2));
    /// ```
    pub fn wanted(&self) -> Option<usize> {
        self.wanted
    }

    /// Sequences one after the other: the number of new tokens and the caches of each.
    ///
    /// ```
    /// use olivine_lm::Sequences;
    /// assert!(Sequences::many([]).is_empty());
    /// ```
    pub fn many(rows: impl IntoIterator<Item = (usize, &'a mut [Cache])>) -> Self {
        let rows = rows.into_iter();
        Sequences {
            rows: rows
                .map(|(tokens, caches)| Row {
                    tokens,
                    caches: Some(caches),
                })
                .collect(),
            wanted: None,
        }
    }

    /// True if there is no sequence.
    ///
    /// ```
    /// use olivine_lm::Sequences;
    /// assert!(!Sequences::forgotten().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Does `work` for each sequence: with its part of the inputs, which are cut along axis 1,
    /// and its cache of the given number. The results are joined along axis 1.
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_core::array;
    /// use olivine_lm::{KvCache, Sequences};
    /// let (mut one, mut other) = ([KvCache::new().into()], [KvCache::new().into()]);
    /// let mut both = Sequences::many([(2, &mut one[..]), (1, &mut other[..])]);
    /// let x = array!([[1.0, 2.0, 3.0]]);
    /// // Sums that know nothing of the other sequence.
    /// let sums = both.each(0, &[&x], |parts, _cache| parts[0].cumsum(1))?;
    /// assert_eq!(sums.to_vec::<f32>()?, [1.0, 3.0, 3.0]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn each(
        &mut self,
        cache: usize,
        inputs: &[&Array],
        mut work: impl FnMut(&[Array], Option<&mut Cache>) -> Result<Array>,
    ) -> Result<Array> {
        if let [row] = &mut self.rows[..] {
            let inputs: Vec<Array> = inputs.iter().map(|&input| input.clone()).collect();
            return work(&inputs, row.cache(cache));
        }
        let mut start = 0;
        let mut results = Vec::with_capacity(self.rows.len());
        for row in &mut self.rows {
            let end = start + row.tokens;
            let parts: Result<Vec<Array>> = inputs
                .iter()
                .map(|input| input.index((.., start..end)))
                .collect();
            results.push(work(&parts?, row.cache(cache))?);
            start = end;
        }
        concatenate(&results, 1)
    }

    /// The position of every one of the `tokens` new tokens in its sequence, as (1, tokens).
    ///
    /// ```
    /// # use olivine_cpu as _;
    /// use olivine_lm::Sequences;
    /// assert_eq!(Sequences::forgotten().positions(3)?.to_vec::<i32>()?, [0, 1, 2]);
    /// # Ok::<(), olivine_core::Error>(())
    /// ```
    pub fn positions(&self, tokens: usize) -> Result<Array> {
        let mut all = Vec::with_capacity(tokens);
        for row in &self.rows {
            let seen = row
                .caches
                .as_ref()
                .and_then(|caches| caches.first())
                .map_or(0, Cache::len);
            let new = if self.rows.len() == 1 {
                tokens
            } else {
                row.tokens
            };
            all.extend((seen..seen + new).map(|position| position as i32));
        }
        Array::from_slice(&all, [1, all.len()])
    }
}

impl Row<'_> {
    fn cache(&mut self, number: usize) -> Option<&mut Cache> {
        self.caches
            .as_mut()
            .and_then(|caches| caches.get_mut(number))
    }
}

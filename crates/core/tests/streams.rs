//! Checks streams of one thread, and that streams end and start again.

use olivine_core::{
    Array, Device, Result, Stream, array, async_eval, clear_streams, device_count, is_available,
    new_thread_local_stream, synchronize,
};
use olivine_cpu as _;

#[test]
fn a_cleared_stream_starts_again() -> Result<()> {
    let side = Stream::new(Device::Cpu);
    for round in 0..3 {
        let y = side.scope(|| array!([1.0, 2.0]).add(round))?;
        let event = async_eval([&y]);
        clear_streams();
        assert!(event.is_done());
        assert_eq!(y.to_vec::<f32>()?, [1.0 + round as f32, 2.0 + round as f32]);
        synchronize(side)?;
    }
    Ok(())
}

#[test]
fn clearing_waits_for_work_in_order() -> Result<()> {
    let streams: Vec<Stream> = (0..4).map(|_| Stream::new(Device::Cpu)).collect();
    let mut sums: Vec<Array> = Vec::new();
    for (i, stream) in streams.iter().cycle().take(40).enumerate() {
        let last = sums.last().cloned().unwrap_or(array!(0));
        sums.push(stream.scope(|| last.add(i))?);
        drop(async_eval(sums.last()));
    }
    clear_streams();
    assert!(sums.iter().all(Array::is_evaluated));
    assert_eq!(sums[39].item::<i32>()?, (0..40).sum::<i32>());
    Ok(())
}

#[test]
fn every_thread_has_its_own_stream_of_a_thread_local_one() -> Result<()> {
    let (first, second) = (
        new_thread_local_stream(Device::Cpu),
        new_thread_local_stream(Device::Cpu),
    );
    assert_ne!(first.get(), second.get());
    let compute = move || -> Result<(Stream, Vec<f32>)> {
        let y = first.scope(|| array!([1.0, 2.0]).exp())?;
        let _event = async_eval([&y]);
        Ok((y.stream(), y.to_vec()?))
    };
    let there: Vec<_> = (0..3).map(|_| std::thread::spawn(compute)).collect();
    let mut seen = vec![first.get()];
    let (stream, values) = compute()?;
    assert_eq!(stream, first.get());
    for thread in there {
        let (stream, same) = thread.join().expect("the thread does not panic")?;
        assert_eq!(same, values);
        assert!(!seen.contains(&stream));
        seen.push(stream);
    }
    clear_streams();
    assert_ne!(first.get(), stream, "a cleared stream is replaced");
    Ok(())
}

#[test]
fn only_linked_devices_count() {
    assert!(is_available(Device::Cpu));
    assert_eq!(
        device_count(Device::Gpu),
        usize::from(is_available(Device::Gpu))
    );
}

#[test]
fn parts_walk_from_both_ends() -> Result<()> {
    let x = Array::arange(0, 6, 1)?.reshape([3, 2])?;
    let mut parts = x.parts()?;
    assert_eq!(parts.len(), 3);
    let last = parts.next_back().expect("there are three");
    assert_eq!(
        (last.shape().dims(), last.to_vec::<i32>()?),
        (&[2][..], vec![4, 5])
    );
    let rest: Vec<Array> = parts.by_ref().collect();
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[1].to_vec::<i32>()?, [2, 3]);
    assert!(parts.next().is_none() && parts.next_back().is_none());
    assert_eq!(Array::zeros([0, 2], x.dtype())?.parts()?.count(), 0);
    Ok(())
}

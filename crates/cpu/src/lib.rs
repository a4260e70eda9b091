//! Owns the CPU backend: allocator, thread pool and kernels.

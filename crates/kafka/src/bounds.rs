//! How much memory unpacked batches may take. `unsafe`, because it stands inside of librdkafka.
//!
//! librdkafka 2.12.1 unpacks a batch as a whole, however much it becomes, before anybody can ask how large
//! it is: 400 kB of gzip are 400 MiB. So the linker leads its calls through here (`build.rs`, ld's
//! `--wrap`): what a batch will take is measured first, and a batch that takes too much is refused as one
//! that cannot be unpacked, which the claim of its partition then goes past. What is unpacked counts until
//! librdkafka lets go of it. The version of librdkafka is pinned by Cargo.toml, and `tests/servers/bombs.rs` tries
//! every codec.

mod measure;

use std::collections::BTreeMap;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka_sys::rd_kafka_resp_err_t;

use rules::unpacked;

/// What one batch may take. Producers make batches of 16 kB, and seldom of 1 MB.
const BATCH: usize = 128 << 20;
/// What librdkafka takes for each record.
const RECORD: usize = 512;
/// What all of them may take at a time.
const ALL: usize = 256 << 20;

const BAD_COMPRESSION: rd_kafka_resp_err_t =
    rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__BAD_COMPRESSION;
const NO_ERROR: rd_kafka_resp_err_t = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

type Free = unsafe extern "C" fn(*mut c_void);

/// What is unpacked at the moment.
struct Books {
    total: usize,
    buffers: BTreeMap<usize, Buffer>,
}

struct Buffer {
    charge: usize,
    free: Option<Free>,
}

static BOOKS: Mutex<Books> = Mutex::new(Books { total: 0, buffers: BTreeMap::new() });
static CROWDED: AtomicU64 = AtomicU64::new(0);

/// How many batches were refused for the sake of others so far: such a refusal says nothing of the batch.
pub(super) fn crowded() -> u64 {
    CROWDED.load(Ordering::Relaxed)
}

fn books() -> MutexGuard<'static, Books> {
    // Each field is whole at every moment, so a panic elsewhere does not spoil it.
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Room that a batch has been given; goes back when it is dropped.
struct Room(usize);

impl Room {
    /// Asks for room for so many bytes.
    fn ask(bytes: usize) -> Option<Room> {
        let mut room = Room(0);
        room.grow(bytes).then_some(room)
    }

    /// Asks for so many bytes more.
    fn grow(&mut self, bytes: usize) -> bool {
        let wanted = self.0.saturating_add(bytes);
        if wanted > BATCH {
            return false;
        }
        let mut books = books();
        if books.total.saturating_add(bytes) > ALL {
            CROWDED.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        books.total += bytes;
        self.0 = wanted;
        true
    }

    fn shrink_to(&mut self, bytes: usize) {
        let spare = self.0.saturating_sub(bytes);
        books().total -= spare;
        self.0 -= spare;
    }

    /// Settles what the unpacked bytes take, those of their records included, and notes it until they are freed.
    /// `false`: it is too much.
    fn settle(mut self, bytes: &[u8]) -> bool {
        self.shrink_to(bytes.len());
        let records = unpacked::records(bytes, BATCH / RECORD + 1);
        if !self.grow(records.saturating_mul(RECORD)) {
            return false;
        }
        let charge = std::mem::take(&mut self.0);
        books().buffers.insert(bytes.as_ptr() as usize, Buffer { charge, free: None });
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        books().total -= self.0;
    }
}

unsafe extern "C" {
    fn free(memory: *mut c_void);
    fn __real_rd_kafka_lz4_decompress(
        broker: *mut c_void,
        proper: c_int,
        offset: i64,
        from: *mut c_char,
        size: usize,
        to: *mut *mut c_void,
        length: *mut usize,
    ) -> rd_kafka_resp_err_t;
    fn __real_rd_kafka_snappy_uncompressed_length(
        from: *const c_char,
        size: usize,
        length: *mut usize,
    ) -> bool;
    fn __real_rd_kafka_snappy_uncompress(
        from: *const c_char,
        size: usize,
        to: *mut c_char,
    ) -> c_int;
    fn __real_rd_kafka_snappy_java_uncompress(
        from: *const c_char,
        size: usize,
        length: *mut usize,
        error: *mut c_char,
        error_size: usize,
    ) -> *mut c_char;
    fn __real_rd_kafka_buf_new_shadow(
        from: *const c_void,
        size: usize,
        free: Option<Free>,
    ) -> *mut c_void;
}

// Of the libraries that librdkafka unpacks with.
unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn realloc(memory: *mut c_void, size: usize) -> *mut c_void;
    fn ZSTD_decompressBound(from: *const c_void, size: usize) -> u64;
    fn ZSTD_decompress(to: *mut c_void, room: usize, from: *const c_void, size: usize) -> usize;
    fn ZSTD_isError(code: usize) -> u32;
}

/// Takes the place of the real one, which unpacks everything once to learn how long it is.
///
/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, and `length` is its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_gz_decompress(
    from: *const c_void,
    size: c_int,
    length: *mut u64,
) -> *mut c_void {
    // SAFETY: as the caller promises. What is allocated has the bytes that were measured, and is either freed or
    // handed to librdkafka, which frees it.
    unsafe {
        let packed = std::slice::from_raw_parts(from.cast(), usize::try_from(size).unwrap_or(0));
        let Some(bytes) = measure::gzip(packed, BATCH) else { return ptr::null_mut() };
        let Some(room) = Room::ask(bytes) else { return ptr::null_mut() };
        let memory = malloc(bytes.max(1));
        if memory.is_null() {
            return ptr::null_mut();
        }
        if measure::gunzip(packed, memory.cast(), bytes.max(1)) != Some(bytes) {
            free(memory);
            return ptr::null_mut();
        }
        if !settle(room, memory, bytes) {
            return ptr::null_mut();
        }
        *length = bytes as u64;
        memory
    }
}

/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, `to` and `length` are its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafka_lz4_decompress(
    broker: *mut c_void,
    proper: c_int,
    offset: i64,
    from: *mut c_char,
    size: usize,
    to: *mut *mut c_void,
    length: *mut usize,
) -> rd_kafka_resp_err_t {
    // SAFETY: as the caller promises.
    unsafe {
        let packed = std::slice::from_raw_parts(from.cast(), size);
        // The frames of Kafka 0.8 have a wrong checksum, which only the real one mends.
        let bytes = match proper {
            0 => Some(size.saturating_mul(255)),
            _ => measure::lz4(packed, BATCH),
        };
        let Some(room) = bytes.and_then(Room::ask) else { return BAD_COMPRESSION };
        let error = __real_rd_kafka_lz4_decompress(broker, proper, offset, from, size, to, length);
        if error == NO_ERROR && !settle(room, *to, *length) {
            return BAD_COMPRESSION;
        }
        error
    }
}

/// Takes the place of the real one, which guesses and tries until it has enough room.
///
/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, `to` and `length` are its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafka_zstd_decompress(
    _broker: *mut c_void,
    from: *mut c_char,
    size: usize,
    to: *mut *mut c_void,
    length: *mut usize,
) -> rd_kafka_resp_err_t {
    // SAFETY: as the caller promises. What is allocated is as large as zstd is told, and is either freed or handed
    // to librdkafka, which frees it.
    unsafe {
        // More than it needs where the sender wrote in small blocks; memory that is not written to costs nothing.
        let most = usize::try_from(ZSTD_decompressBound(from.cast(), size)).unwrap_or(BATCH);
        let most = most.min(BATCH);
        let Some(room) = Room::ask(most) else { return BAD_COMPRESSION };
        let memory = malloc(most.max(1));
        if memory.is_null() {
            return rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
        }
        let bytes = ZSTD_decompress(memory, most, from.cast(), size);
        if ZSTD_isError(bytes) != 0 {
            free(memory);
            return BAD_COMPRESSION;
        }
        let smaller = realloc(memory, bytes.max(1));
        let memory = if smaller.is_null() { memory } else { smaller };
        if !settle(room, memory, bytes) {
            return BAD_COMPRESSION;
        }
        *to = memory;
        *length = bytes;
        NO_ERROR
    }
}

/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, `length` is its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafka_snappy_uncompressed_length(
    from: *const c_char,
    size: usize,
    length: *mut usize,
) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        __real_rd_kafka_snappy_uncompressed_length(from, size, length)
            && Room::ask(*length).is_some()
    }
}

/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, and `to` as many as the function above has said.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafka_snappy_uncompress(
    from: *const c_char,
    size: usize,
    to: *mut c_char,
) -> c_int {
    const ENOMEM: c_int = 12;
    let mut bytes = 0;
    // SAFETY: as the caller promises, who frees `to` after a refusal.
    unsafe {
        if !__real_rd_kafka_snappy_uncompressed_length(from, size, &mut bytes) {
            return -ENOMEM;
        }
        let Some(room) = Room::ask(bytes) else { return -ENOMEM };
        let error = __real_rd_kafka_snappy_uncompress(from, size, to);
        if error == 0 && !room.settle(std::slice::from_raw_parts(to.cast(), bytes)) {
            return -ENOMEM;
        }
        error
    }
}

/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, `error` has `error_size`, `length` is its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafka_snappy_java_uncompress(
    from: *const c_char,
    size: usize,
    length: *mut usize,
    error: *mut c_char,
    error_size: usize,
) -> *mut c_char {
    // SAFETY: as the caller promises.
    unsafe {
        if error_size > 0 {
            *error = 0;
        }
        let packed = std::slice::from_raw_parts(from.cast(), size);
        let room = unpacked::snappy_java(packed).and_then(Room::ask);
        let Some(room) = room else { return ptr::null_mut() };
        let memory = __real_rd_kafka_snappy_java_uncompress(from, size, length, error, error_size);
        if !memory.is_null() && !settle(room, memory.cast(), *length) {
            return ptr::null_mut();
        }
        memory
    }
}

/// # Safety
/// As librdkafka calls it: `from` has `size` bytes, which `free`, if there is one, frees.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_rd_kafka_buf_new_shadow(
    from: *const c_void,
    size: usize,
    free: Option<Free>,
) -> *mut c_void {
    let mut by = free;
    if free.is_some()
        && let Some(buffer) = books().buffers.get_mut(&(from as usize))
    {
        buffer.free = free;
        by = Some(release);
    }
    // SAFETY: as the caller promises; `release` ends in what the caller gave.
    unsafe { __real_rd_kafka_buf_new_shadow(from, size, by) }
}

/// # Safety
/// `memory` is what a buffer was made of by the function above, and nobody uses it any more.
unsafe extern "C" fn release(memory: *mut c_void) {
    let buffer = {
        let mut books = books();
        let buffer = books.buffers.remove(&(memory as usize));
        books.total -= buffer.as_ref().map_or(0, |buffer| buffer.charge);
        buffer
    };
    if let Some(free) = buffer.and_then(|buffer| buffer.free) {
        // SAFETY: as the caller promises.
        unsafe { free(memory) }
    }
}

/// Notes unpacked memory, or frees it when it is too much.
///
/// # Safety
/// `memory` is from `malloc`, has `size` bytes, and is nobody else's yet.
unsafe fn settle(room: Room, memory: *mut c_void, size: usize) -> bool {
    // SAFETY: as the caller promises.
    unsafe {
        let fits = room.settle(std::slice::from_raw_parts(memory.cast(), size));
        if !fits {
            free(memory);
        }
        fits
    }
}

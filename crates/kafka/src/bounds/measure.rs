//! How much a batch unpacks to, without keeping what it unpacks to.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use libz_sys as zlib;

/// What is unpacked at a time.
const CHUNK: usize = 32 << 10;

/// The length of what a gzip stream has; `None` where that is more than `most`, or the stream is broken, or something
/// comes behind it, which zlib would leave out unread.
pub(super) fn gzip(packed: &[u8], most: usize) -> Option<usize> {
    let mut chunk = [0; CHUNK];
    // SAFETY: the chunk has so many bytes.
    unsafe { inflate(packed, chunk.as_mut_ptr(), CHUNK, most) }
}

/// Unpacks a gzip stream; returns its length, or `None` where that is more than `room`.
///
/// # Safety
/// `to` has `room` bytes.
pub(super) unsafe fn gunzip(packed: &[u8], to: *mut u8, room: usize) -> Option<usize> {
    // SAFETY: as the caller promises. What does not fit is an error, and what fits is written at once.
    unsafe { inflate(packed, to, room, room) }
}

/// Unpacks into `to`, again and again from its beginning.
///
/// # Safety
/// `to` has `room` bytes.
unsafe fn inflate(packed: &[u8], to: *mut u8, room: usize, most: usize) -> Option<usize> {
    let mut zeroed = MaybeUninit::<zlib::z_stream>::zeroed();
    let stream = zeroed.as_mut_ptr();
    let size = c_int::try_from(size_of::<zlib::z_stream>()).ok()?;
    let (given, room) = (c_uint::try_from(packed.len()).ok()?, c_uint::try_from(room).ok()?);
    // SAFETY: zlib initialises the zeroed stream, is given buffers with their true sizes, reads the one and writes
    // the other, and is ended on every path after it has begun.
    unsafe {
        // As librdkafka asks for it: gzip or zlib, by its header.
        if zlib::inflateInit2_(stream, 15 + 32, zlib::zlibVersion(), size) != zlib::Z_OK {
            return None;
        }
        (*stream).next_in = packed.as_ptr().cast_mut();
        (*stream).avail_in = given;
        let (mut total, mut code) = (0, zlib::Z_OK);
        while code == zlib::Z_OK && total <= most {
            (*stream).next_out = to;
            (*stream).avail_out = room;
            code = zlib::inflate(stream, zlib::Z_NO_FLUSH);
            total += (room - (*stream).avail_out) as usize;
        }
        zlib::inflateEnd(stream);
        let is_whole = code == zlib::Z_STREAM_END && (*stream).avail_in == 0;
        (is_whole && total <= most).then_some(total)
    }
}

unsafe extern "C" {
    fn LZ4F_createDecompressionContext(context: *mut *mut c_void, version: c_uint) -> usize;
    fn LZ4F_freeDecompressionContext(context: *mut c_void) -> usize;
    fn LZ4F_isError(code: usize) -> c_uint;
    fn LZ4F_decompress(
        context: *mut c_void,
        to: *mut c_void,
        room: *mut usize,
        from: *const c_void,
        size: *mut usize,
        options: *const c_void,
    ) -> usize;
}

/// The length of what an LZ4 frame has; `None` where that is more than `most`, or the frame is broken, or does not end
/// where the batch does.
pub(super) fn lz4(packed: &[u8], most: usize) -> Option<usize> {
    const VERSION: c_uint = 100;
    let (mut chunk, mut context) = ([0_u8; CHUNK], ptr::null_mut());
    // SAFETY: the context is made and freed here, and LZ4 is given buffers with their true sizes.
    unsafe {
        if LZ4F_isError(LZ4F_createDecompressionContext(&mut context, VERSION)) != 0 {
            return None;
        }
        let (mut rest, mut total) = (packed, 0);
        let is_whole = loop {
            let (mut size, mut room) = (rest.len(), CHUNK);
            let (to, from) = (chunk.as_mut_ptr().cast(), rest.as_ptr().cast());
            let left = LZ4F_decompress(context, to, &mut room, from, &mut size, ptr::null());
            rest = rest.get(size..).unwrap_or_default();
            total += room;
            let is_stuck = LZ4F_isError(left) != 0 || (size == 0 && room == 0);
            if left == 0 || is_stuck || total > most {
                break left == 0 && !is_stuck && rest.is_empty();
            }
        };
        LZ4F_freeDecompressionContext(context);
        (is_whole && total <= most).then_some(total)
    }
}

//! Bytes that the application packed. They are unpacked no further than a record may be long.

use std::io::Read;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::broken;
use crate::decode_error::{Reason, Rejection};

pub(super) fn gzip(bytes: &[u8], most: usize) -> Result<Vec<u8>, Rejection> {
    unpacked("gzip", MultiGzDecoder::new(bytes), most)
}

pub(super) fn zlib(bytes: &[u8], most: usize) -> Result<Vec<u8>, Rejection> {
    unpacked("zlib", ZlibDecoder::new(bytes), most)
}

fn unpacked(what: &str, packed: impl Read, most: usize) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::new();
    // One byte more tells that there is too much.
    match packed.take(most as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > most => {
            let detail = format!("{what} that unpacks to more than {most} bytes, the limit");
            Err(Rejection::new(Reason::Oversize, detail))
        }
        Ok(_) => Ok(bytes),
        Err(error) => Err(broken(format!("{what} that cannot be unpacked: {error}"))),
    }
}

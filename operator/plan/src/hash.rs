//! A short hash for names and checksums. It tells texts apart; it protects nothing.

use k8s_openapi::api::core::v1::Secret;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Ten hexadecimal digits (FNV-1a, 64 bits folded to 40) over parts that cannot run into each other.
pub fn short<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut state = OFFSET;
    let mut eat = |byte: u8| state = (state ^ u64::from(byte)).wrapping_mul(PRIME);
    for part in parts {
        part.len().to_le_bytes().into_iter().for_each(&mut eat);
        part.iter().copied().for_each(&mut eat);
    }
    let folded = (state ^ (state >> 40)) & 0xff_ffff_ffff;
    format!("{folded:010x}")
}

/// Hash of a Secret's content: changes when a pod must see other files, not when a label changes.
pub fn of_secret(secret: &Secret) -> String {
    let data = secret.data.iter().flatten();
    short(data.flat_map(|(key, value)| [key.as_bytes(), value.0.as_slice()]))
}

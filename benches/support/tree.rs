//! A tree of files that benches pack: three quarters text, one quarter that does not compress.

use std::fs;
use std::path::Path;

/// How many folders the files are spread over.
pub(crate) const FOLDERS: u64 = 50;

/// Writes so many files of this size below a folder: the same bytes in every run.
pub(crate) fn generate(folder: &Path, files: u64, file_bytes: u64) {
    let mut random = fastrand::Rng::with_seed(1);
    let words = words(&mut random);
    for number in 0..FOLDERS.min(files) {
        fs::create_dir_all(folder.join(format!("d{number}"))).expect("the folder can be made");
    }
    for number in 0..files {
        let is_text = number % 4 != 3;
        let name =
            format!("d{}/f{number}.{}", number % FOLDERS, if is_text { "txt" } else { "bin" });
        let content = content(&mut random, &words, is_text, file_bytes);
        fs::write(folder.join(name), content).expect("the file can be written");
    }
}

/// Words that texts are made of.
pub(crate) fn words(random: &mut fastrand::Rng) -> Vec<String> {
    (0..2_000).map(|_| (0..random.usize(2..9)).map(|_| random.lowercase()).collect()).collect()
}

/// So many bytes of text, or of noise.
pub(crate) fn content(
    random: &mut fastrand::Rng,
    words: &[String],
    is_text: bool,
    bytes: u64,
) -> Vec<u8> {
    let length = usize::try_from(bytes).expect("what is held in memory can be counted");
    let mut content = Vec::with_capacity(length);
    while content.len() < length {
        if is_text {
            content.extend_from_slice(words[random.usize(..words.len())].as_bytes());
            content.push(b' ');
        } else {
            content.push(random.u8(..));
        }
    }
    content.truncate(length);
    content
}

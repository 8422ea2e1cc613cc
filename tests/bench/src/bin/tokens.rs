//! `tokens <folder> <count>`: makes the keys of an issuer, and so many tokens of each algorithm, each of another holder.
//!
//! Writes `jwks.json`, `rs256.txt`, `es256.txt` and `api-key.txt` (one key of the first holder).

use std::path::PathBuf;

use anyhow::{Context, Result};
use tollgate_bench::argument;
use tollgate_bench::tokens::{Algorithm, Signer, write};

fn main() -> Result<()> {
    let (folder, count): (PathBuf, usize) = (argument(1, "folder")?, argument(2, "count")?);
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let signer = Signer::generate()?;
    let put = |name: &str, text: String| {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    };
    put("jwks.json", signer.jwks()?.to_string())?;
    put("api-key.txt", format!("{}\n", signer.api_key()?))?;
    write(&signer, Algorithm::Rs256, count, &folder.join("rs256.txt"))?;
    write(&signer, Algorithm::Es256, count, &folder.join("es256.txt"))
}

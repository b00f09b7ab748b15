//! `repro.sh`: a finding → one POSIX shell script that shows it with nothing but the linker.
//!
//! Inputs are in the script byte for byte, because assemblers fold what linkers must decide (absolute
//! symbols, local branches); the report has them as text.

use std::fmt::Write as _;

use scold_diff::Format;
use scold_diff::oracle::Trial;

use super::Finding;

/// The script of one link.
pub(super) fn script(finding: &Finding<'_>) -> String {
    let sighting = finding.sighting;
    let blamed = sighting.linkers().next().unwrap_or_default();
    let trial = finding.examined.trials.iter().find(|trial| trial.linker.name() == blamed);
    let mut text = format!(
        "#!/bin/sh\n\
         # {}\n\
         # Exits 0 when the bug shows, 1 when it does not, 2 when this script can't tell.\n\
         # LD=PROGRAM tries another build of the linker.\n\
         set -u\n",
        sighting.signature
    );
    let Some(trial) = trial else {
        text.push_str("echo 'no linker to blame: see report.md' >&2\nexit 2\n");
        return text;
    };
    let _ = writeln!(text, "# Seen with: {}", trial.linker.version());
    for key in &sighting.complaint.keys {
        let line = format!("# {}: wanted {}, found {}", key.key, key.wanted, key.found);
        let _ = writeln!(text, "{}", line.replace(['\n', '\r'], " "));
    }
    let program = trial
        .linker
        .program(finding.examined.request.target)
        .map(|path| path.display().to_string());
    let _ = write!(
        text,
        "LD=${{LD:-{}}}\n\
         dir=$(mktemp -d) || exit 2\n\
         trap 'rm -rf \"$dir\"' EXIT\n\
         {}\
         command -v \"$LD\" >/dev/null 2>&1 || {{ echo \"no $LD here\" >&2; exit 2; }}\n\
         cd \"$dir\" || exit 2\n\
         zeros() {{ dd if=/dev/zero bs=\"$1\" count=1 2>/dev/null; }}\n\n",
        program.as_deref().unwrap_or("ld-scold"),
        if program.is_none() { STAND_IN } else { "" },
    );
    // What a mode adds is for linkers that know none.
    for file in &trial.linker.files(&finding.examined.request) {
        write_file(&mut text, &file.name, &file.bytes);
    }
    let args = trial.linker.command(&finding.examined.request);
    let args: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
    let run = if sighting.class() == "hang" { "timeout 20 \"$LD\"" } else { "\"$LD\"" };
    let _ = write!(
        text,
        "\nstatus=0\n{run} {} -o scold.out 2>stderr.txt || status=$?\ncat stderr.txt >&2\n\n",
        args.join(" ")
    );
    // A Mach-O image has no loader here that a script could ask; what was printed is in the report.
    let elf = finding.examined.request.target.format == Format::Elf;
    if sighting.complaint.oracle == "execute" && elf {
        text.push_str(&loaded(
            finding.examined.request.mode.is_library(),
            &sighting.complaint.shape,
        ));
    }
    text.push_str(&check(sighting.class(), trial, finding.examined.request.target.format));
    text
}

/// The script of links that only run together.
pub(super) const SEVERAL: &str = "\
#!/bin/sh
echo \"this takes several links that run together: scold replay '$(dirname \"$0\")'\" >&2
exit 2
";

/// The lines that load or start the output, where a loader says that it is wrong. What loads and is wrong
/// only in what it holds is left to the comparison with the recorded output.
fn loaded(library: bool, shape: &str) -> String {
    let dies = ["crash", "hang", "does not load", "exits"];
    if !dies.iter().any(|start| shape.starts_with(start)) {
        return String::new();
    }
    let host = if library { HOST } else { "chmod +x scold.out; runs='timeout 20 ./scold.out'\n" };
    format!(
        "{host}if [ \"$status\" -eq 0 ] && [ -n \"$runs\" ]; then\n\
         LD_LIBRARY_PATH=. LD_BIND_NOW=1 $runs; ran=$?\n\
         if [ \"$ran\" -ge 124 ]; then echo \"the bug shows: the output dies when it is loaded ($ran)\"; exit 0; fi\n\
         fi\n"
    )
}

/// A program that opens the library and exits with 125 if the loader refuses it.
const HOST: &str = r#"runs=
cat >host.c <<'END'
#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *module = dlopen("./scold.out", RTLD_NOW | RTLD_GLOBAL);
    if (!module) { fprintf(stderr, "%s\n", dlerror()); return 125; }
    return dlclose(module) ? 125 : 0;
}
END
cc -w host.c -o host -ldl 2>/dev/null && runs='timeout 20 ./host'
"#;

/// Where only the command is installed: under that name it is the reference linker.
const STAND_IN: &str = "\
command -v \"$LD\" >/dev/null 2>&1 || {
    scold=$(command -v scold) && ln -s \"$scold\" \"$dir/ld-scold\" && LD=$dir/ld-scold
}
";

/// The lines that tell whether the bug shows.
fn check(class: &str, trial: &Trial, format: Format) -> String {
    match class {
        "crash" => "\
if [ \"$status\" -ge 126 ] || grep -q -i -e 'internal error' -e assert -e 'submit a bug' -e panicked stderr.txt
then echo 'the bug shows: the linker died'; exit 0; fi
echo 'the bug does not show'; exit 1
"
        .into(),
        "hang" => "\
if [ \"$status\" -eq 124 ]; then echo 'the bug shows: no end in 20 s'; exit 0; fi
echo 'the bug does not show'; exit 1
"
        .into(),
        "refused" => "\
if [ \"$status\" -ne 0 ]; then echo 'the bug shows: refused'; exit 0; fi
echo 'the bug does not show: linked'; exit 1
"
        .into(),
        "accepted" => "\
if [ \"$status\" -eq 0 ]; then echo 'the bug shows: linked without a word'; exit 0; fi
echo 'the bug does not show: refused'; exit 1
"
        .into(),
        _ => silent(trial, format),
    }
}

/// A wrong output is the recorded one, byte for byte; any other output needs eyes.
fn silent(trial: &Trial, format: Format) -> String {
    let Some(image) = trial.outcome.image() else {
        return "exit 2\n".into();
    };
    let reader = match format {
        Format::Elf => "readelf -W -l --dyn-syms -r -d",
        Format::Macho => {
            "llvm-objdump --macho --private-headers --bind --rebase --weak-bind --exports-trie"
        }
    };
    format!(
        "\
[ \"$status\" -eq 0 ] || {{ echo 'the bug does not show: refused'; exit 1; }}
if [ \"$(cksum <scold.out)\" = '{} {}' ]
then echo 'the bug shows: the output is the recorded wrong one, see the comments above'; exit 0; fi
echo 'another output than the recorded one; what it says:'
{reader} scold.out 2>/dev/null
exit 2
",
        cksum(image),
        image.len()
    )
}

/// The checksum of POSIX `cksum`.
fn cksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: u8| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    };
    let crc = bytes.iter().fold(0, |crc, byte| step(crc, *byte));
    let mut len = bytes.len();
    let mut crc = crc;
    while len != 0 {
        crc = step(crc, (len & 0xff) as u8);
        len >>= 8;
    }
    !crc
}

/// `arg` as one shell word.
pub(super) fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@".contains(c);
    if !arg.is_empty() && arg.chars().all(plain) {
        arg.into()
    } else {
        format!("'{}'", arg.replace('\'', "'\\''"))
    }
}

/// Lines that write `bytes` into the file `name`.
fn write_file(text: &mut String, name: &str, bytes: &[u8]) {
    /// Zeros in a row from which on they are not spelled out.
    const RUN: usize = 24;
    const LINE: usize = 48;
    let name = quoted(name);
    let _ = writeln!(text, "{{ # {name}");
    let mut rest = bytes;
    while !rest.is_empty() {
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros >= RUN {
            let _ = writeln!(text, "zeros {zeros}");
            rest = &rest[zeros..];
            continue;
        }
        let next_run = rest.windows(RUN).position(|window| window.iter().all(|b| *b == 0));
        let (line, after) =
            rest.split_at(next_run.unwrap_or(rest.len()).clamp(1, LINE).min(rest.len()));
        text.push_str("printf '");
        for byte in line {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'.' | b'_' | b' ' => text.push(char::from(*byte)),
                byte => {
                    let _ = write!(text, "\\{byte:03o}");
                }
            }
        }
        text.push_str("'\n");
        rest = after;
    }
    let _ = writeln!(text, "}} >{name}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cksum_is_posix() {
        // `printf 123456789 | cksum` and `printf '' | cksum`.
        assert_eq!(cksum(b"123456789"), 930_766_865);
        assert_eq!(cksum(b""), 4_294_967_295);
    }

    #[test]
    fn words_survive_the_shell() {
        assert_eq!(quoted("-z"), "-z");
        assert_eq!(quoted("--defsym=a b'c"), "'--defsym=a b'\\''c'");
        assert_eq!(quoted(""), "''");
    }
}

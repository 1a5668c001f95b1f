//! The table of rejected lines.

use super::*;

/// Checks the number of the line and a part of the problem.
#[track_caller]
fn check(lines: &str, line: usize, part: &str) {
    let shown: String = lines.chars().take(100).collect();
    let error = customize(lines).err().unwrap_or_else(|| panic!("{shown} was accepted"));
    let text = error.to_string();
    assert!(text.contains(part), "{shown}: {text}");
    assert_eq!(error.line, Some(line), "{shown}: {text}");
    assert!(text.chars().count() < 300 && text.chars().all(crate::text::is_visible), "{text}");
}

#[test]
fn rejects_what_needs_a_build() {
    check("FROM alpine", 1, "FROM is not supported");
    check("ENV A=1\n\n# comment\nRUN apt-get update", 4, "\"apt-get\" is not supported in RUN");
    check("RUN --mount=type=cache,target=/x mkdir /y", 1, "--mount");
    check("RUN <<EOF\nmkdir /a\nEOF", 1, "heredocs");
    check("RUN mkdir /a; mkdir /b", 1, "\";\" is not supported");
    check("RUN echo a > /b", 1, "\">\" is not supported");
    check("RUN A=1 mkdir /a", 1, "\"A=1\" is not supported in RUN");
    check("RUN mkdir /a &&", 1, "a command is missing");
    check("RUN", 1, "a command is missing");
    check("RUN \\\n  mkdir -p /a \\\n  && rm -rf /b", 1, "\"rm\"");
    check("ADD x /y", 1, "ADD is not supported");
    check("COPY x /y", 1, "COPY supports only heredocs");
    check("COPY --from=a <<EOF /x\nEOF", 1, "--from");
    check("COPY <<A <<B /x/\nA\nB", 1, "several sources");
    check("ARG A=1", 1, "ARG is not supported");
    check("SHELL [\"/bin/bash\"]", 1, "SHELL is not supported");
    check("ONBUILD RUN x", 1, "ONBUILD is not supported");
    check("MAINTAINER me", 1, "MAINTAINER is not supported");
    check("ENV A=1\nBUILD x", 2, "BUILD");
    check("# escape=`\nENV A=1", 1, "escape");
}

#[test]
fn rejects_invalid_arguments() {
    check("ENV", 1, "ENV");
    check("ENV A", 1, "has no value");
    check("ENV A=1 B", 1, "\"B\" has no value");
    check("ENV A=1\nENV =1", 2, "has no name");
    check("ENV A='1", 1, "single quote");
    check("ENV A=${B%x}", 1, "unsupported variable");
    check("LABEL \"\"=x", 1, "not a valid name");
    check("EXPOSE http", 1, "\"http\" is not a port");
    check("VOLUME $MISSING", 1, "is empty");
    check("STOPSIGNAL SIGNONE", 1, "is not a signal");
    check("HEALTHCHECK --interval=5 CMD x", 1, "is not a duration");
    check("HEALTHCHECK --retries=x CMD y", 1, "is not a number");
    check("HEALTHCHECK --x=1 CMD y", 1, "--x");
    check("COPY <<EOF /x\nno end", 3, "EOF");
    check("RUN mkdir --foo /a", 1, "--foo");
    check("RUN chmod u+x /a", 1, "is not an octal mode");
    check("RUN mkdir /a && chown app /a", 1, "is not numeric");
    check("RUN ln /a /b", 1, "-s");
    check("RUN mkdir -p $MISSING", 1, "MISSING is not set by ENV");
    check("RUN mkdir -p", 1, "mkdir needs a path");
}

#[test]
fn rejects_what_depends_on_the_files_of_the_base() {
    check("RUN mkdir /a/b", 1, "Use mkdir -p");
    check("RUN mkdir /tmp", 1, "\"/tmp\" exists");
    check("RUN mkdir /a && mkdir /a", 1, "\"/a\" exists");
    check("RUN chmod 777 /vault/file", 1, "is not created by a line before");
    check("RUN mkdir -p /a/b && chmod 777 /a", 1, "\"/a\" is not created");
    check("RUN mkdir -p /bin/x", 1, "Use /usr/bin");
    check("RUN touch /var/run/x", 1, "Use /run");
    check("RUN mkdir -p /proc/x", 1, "the runtime mounts /proc");
    check("COPY <<EOF /etc\nEOF", 1, "is a directory");
    check("COPY <<EOF /x/\nEOF", 1, "is a directory");
    check("RUN touch /a && mkdir -p /a/b", 1, "\"/a\" is not a directory");
    check("RUN mkdir -p /a/b && mkdir /a", 1, "\"/a\" exists");
    check("RUN mkdir -p /a/b && ln -s /x /a", 1, "\"/a\" is a directory");
    check("RUN mkdir -p /a/b\nCOPY <<EOF /a\nEOF", 2, "\"/a\" is a directory");
    check("RUN touch /a && mkdir -p /a", 1, "is not a directory");
    check("RUN ln -s /b /a && touch /a/c", 1, "\"/a\" is not a directory");
    check("RUN ln -s /b /a && chmod 700 /a", 1, "is a symbolic link");
    check("RUN ln -s /b /a && ln -s /c /a", 1, "Use ln -sf");
    check("RUN mkdir -p ../../../x", 1, "leaves the root directory");
    check("WORKDIR /../x", 1, "leaves the root directory");
    check("COPY <<EOF /a/.wh.b\nEOF", 1, ".wh.");
}

#[test]
fn rejects_bases_that_it_does_not_understand() {
    let rejected = |config: &str, part: &str| {
        let error = customize_config("ENV A=1", config).expect_err(config);
        assert!(error.line.is_none() && error.to_string().contains(part), "{config}: {error}");
    };
    rejected("[]", "its config is not supported");
    rejected("{}", "diff_ids");
    rejected(&base_config().replace("\"linux\"", "\"windows\""), "it is not for Linux");
    rejected(&base_config().replacen('{', "{\"os\":\"linux\",", 1), "twice");
    rejected(&base_config().replace("\"Env\":[", "\"Env\":[1,"), "its Env has an unexpected type");
}

#[test]
fn limits_sizes_and_counts() {
    check(&format!("COPY <<'EOF' /a\n{}\nEOF", "x".repeat(1 << 20)), 1, "more than 1 MiB");
    let many: Vec<String> = (0..1001).map(|n| format!("/f{n}")).collect();
    check(&format!("RUN touch {}", many.join(" ")), 1, "more than 1000 files");
    check(&"USER 1\n".repeat(201), 201, "more than 200 instructions");
    let double = "ENV B=$A$A\nENV A=$B$B\n".repeat(15);
    check(&double, 19, "longer than");
    let large = "values of more than 4 MiB";
    let name = format!("ENV A={}", "x".repeat(500_000));
    check(&format!("{name}\nLABEL a=$A b=$A c=$A d=$A\nLABEL e=$A f=$A g=$A h=$A i=$A"), 3, large);
    check(&format!("EXPOSE {}", "1-1000 ".repeat(100)), 1, large);
    check(&format!("{name}\nRUN mkdir \"/{}\"", "$A".repeat(1000)), 2, "longer than");
    check(&format!("ENV {}", "A=1 ".repeat(10_000)), 1, large);
    check(&format!("VOLUME {}", "/a ".repeat(20_000)), 1, large);
    assert!(Customization::parse(&"#".repeat(super::super::MAX_BYTES + 1)).is_err());
    assert!(Customization::parse("# only a comment\n").unwrap_err().to_string().contains("no instruction"));
}

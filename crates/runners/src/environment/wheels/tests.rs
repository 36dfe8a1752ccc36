use super::parse;

#[test]
fn packages_by_name_and_wheels_by_address_are_allowed() {
    for (text, parsed) in [
        ("", ""),
        ("# a comment with -e and git+https://x\n", "\n"),
        ("\u{feff}six\r\nattrs\r\n", "six\nattrs\n"),
        ("six==1.16.0  # -e later", "six==1.16.0\n"),
        ("mlflow[extras]>=2,<4; python_version > '3.9'", "mlflow[extras]>=2,<4; python_version > '3.9'\n"),
        (
            "six==1.16.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb",
            "six==1.16.0  --hash=sha256:aa  --hash=sha256:bb\n",
        ),
        ("six==1.16.0 \\", "six==1.16.0"),
        ("--index-url https://pypi.example.org/simple/", "--index-url https://pypi.example.org/simple/\n"),
        (
            "--extra-index-url=https://download.pytorch.org/whl/cpu",
            "--extra-index-url=https://download.pytorch.org/whl/cpu\n",
        ),
        (
            "model @ https://example.org/model-1.0-py3-none-any.whl#sha256=aa",
            "model @ https://example.org/model-1.0-py3-none-any.whl#sha256=aa\n",
        ),
        ("https://example.org/model-1.0-py3-none-any.whl", "https://example.org/model-1.0-py3-none-any.whl\n"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(parsed), "{text}");
    }
}

#[test]
fn requirements_that_build_are_refused() {
    for refused in [
        "-e .",
        "--editable=.",
        "six --no-binary six",
        "--no-binary :all:",
        "--no-binary=:all:",
        // `pip` accepts the start of an option.
        "--no-bin :all:",
        "--only-binary=:none:",
        "six \\\n --config-settings=a=b",
        "-r other.txt",
        "-rother.txt",
        "-c other.txt",
        "model @ https://example.org/model-1.0.tar.gz",
        "model @ git+https://example.org/model.git",
        "git+https://example.org/model.git@main#egg=model",
        "model@file:///tmp/model",
        "./model",
        ".",
        "/tmp/model-1.0.zip",
        "model-1.0.tar.gz",
        "six\n-e .",
        // For `pip` a comment is not continued.
        "# comment \\\n-e .",
        // For Python these end a line.
        "six\u{c}-e .",
        "six\u{2028}-e .",
    ] {
        assert!(parse(refused).is_err(), "{refused}");
    }
}

#[test]
fn a_comment_that_names_an_encoding_does_not_reach_the_tool() {
    assert_eq!(parse("# coding: utf-7\n+AC0-e").as_deref(), Ok("\n+AC0-e\n"));
}

#[test]
fn a_variable_of_the_server_is_not_inserted() {
    assert!(parse("--index-url https://example.org/${PIP_PASSWORD}").is_err());
}

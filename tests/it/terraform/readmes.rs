//! The tables in the READMEs of the modules: requirements, inputs and outputs, generated from the module's files.
//!
//! With `JVB_WATCHER_WRITE_DOCS` set, as `.ci/write-docs` does, the tables are written instead of compared.

use std::fmt::Write;
use std::path::Path;

use hcl::{Block, Body, Expression};

use super::{folders, root};

const WRITE: &str = "JVB_WATCHER_WRITE_DOCS";

/// The longest default that a table shows.
const LONGEST_DEFAULT: usize = 50;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the blocks of a kind in a file of a module.
fn blocks(folder: &Path, file: &str, kind: &str) -> Vec<Block> {
    let body: Body = hcl::parse(&read(&folder.join(file))).expect("the file is HCL");
    body.into_blocks().filter(|block| block.identifier() == kind).collect()
}

fn attribute<'a>(block: &'a Block, name: &str) -> Option<&'a Expression> {
    block.body().attributes().find(|attribute| attribute.key() == name).map(|attribute| attribute.expr())
}

/// Returns an expression in one line.
fn code(expression: &Expression) -> String {
    let text = hcl::format::to_string(expression).expect("an expression can be written");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a type without the attributes of objects, which the module's file lists.
fn kind(of: &Expression) -> String {
    match of {
        Expression::FuncCall(call) if call.name.name.as_str() == "object" => "object".to_owned(),
        Expression::FuncCall(call) => {
            let arguments: Vec<_> = call.args.iter().map(kind).collect();
            format!("{}({})", call.name.name.as_str(), arguments.join(", "))
        }
        other => code(other),
    }
}

fn description(block: &Block) -> String {
    match attribute(block, "description") {
        Some(Expression::String(text)) => text.replace('|', "\\|"),
        other => panic!("{:?} has the description {other:?}", block.labels()),
    }
}

fn name(block: &Block) -> &str {
    block.labels()[0].as_str()
}

fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut text = format!("| {} |\n| {} |\n", header.join(" | "), header.map(|_| "---").join(" | "));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("a string takes everything");
    }
    text
}

fn requirements(folder: &Path) -> String {
    let terraform = blocks(folder, "versions.tf", "terraform").remove(0);
    let version = attribute(&terraform, "required_version").expect("the module requires a version of terraform");
    let mut rows = vec![["terraform".to_owned(), code(version)]];
    let providers = terraform.body().blocks().find(|block| block.identifier() == "required_providers");
    for provider in providers.expect("the module requires providers").body().attributes() {
        let Expression::Object(requirement) = provider.expr() else { panic!("{provider:?} is no object") };
        let version = requirement.iter().find(|(key, _)| key.to_string() == "version");
        rows.push([provider.key().to_owned(), code(version.expect("the module requires a version").1)]);
    }
    table(["name", "version"], rows.into_iter().map(|[name, version]| [name, version.replace('"', "`")]))
}

fn inputs(folder: &Path) -> String {
    let row = |block: &Block| {
        let kind = kind(attribute(block, "type").expect("an input has a type"));
        let default = match attribute(block, "default").map(code) {
            None => "required".to_owned(),
            // The defaults of an object's attributes are part of its type.
            Some(default) if default.len() > LONGEST_DEFAULT || kind == "object" && default != "null" => {
                "see variables.tf".to_owned()
            }
            Some(default) => format!("`{default}`"),
        };
        [format!("`{}`", name(block)), kind, default, description(block)]
    };
    table(["input", "type", "default", "meaning"], blocks(folder, "variables.tf", "variable").iter().map(row))
}

fn outputs(folder: &Path) -> String {
    let row = |block: &Block| [format!("`{}`", name(block)), description(block)];
    table(["output", "meaning"], blocks(folder, "outputs.tf", "output").iter().map(row))
}

/// Returns a README with another text under a heading; a missing one is added at the end.
fn with_section(readme: &str, heading: &str, text: &str) -> String {
    let heading = format!("\n## {heading}\n");
    let (before, section) = readme.split_once(&heading).unwrap_or((readme, ""));
    let after = section.find("\n## ").map_or("", |at| &section[at..]);
    format!("{before}{heading}\n{text}{after}")
}

#[test]
fn each_modules_readme_lists_its_requirements_inputs_and_outputs() {
    let modules = folders().into_iter().filter(|folder| folder.starts_with("modules") && folder.iter().count() == 2);
    for module in modules {
        let folder = root().join(&module);
        let path = folder.join("README.md");
        let readme = read(&path);
        let sections =
            [("Requirements", requirements(&folder)), ("Inputs", inputs(&folder)), ("Outputs", outputs(&folder))];
        let expected =
            sections.iter().fold(readme.clone(), |readme, (heading, text)| with_section(&readme, heading, text));
        if std::env::var_os(WRITE).is_some() {
            std::fs::write(&path, &expected).expect("the README can be written");
            continue;
        }
        let difference = expected.lines().zip(readme.lines()).find(|(expected, actual)| expected != actual);
        assert!(
            readme == expected,
            "terraform/{}/README.md is out of date ({difference:?}); .ci/write-docs writes it",
            module.display()
        );
    }
}

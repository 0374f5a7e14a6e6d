//! The tables in the READMEs of the modules: requirements, inputs and outputs, generated from the module's files in the
//! form of terraform-docs, between its markers. With the module's `.terraform-docs.yml`, `terraform-docs .` writes the same:
//! format/templates/markdown_table_*.tmpl in terraform-docs/terraform-docs 0.24 has the form.
//!
//! With `JVB_WATCHER_WRITE_DOCS` set, as `.ci/write-docs` does, the tables are written instead of compared.

use std::path::Path;

use hcl::{Block, Body, Expression};
use serde_json::Value;

use super::{folders, root};

const WRITE: &str = "JVB_WATCHER_WRITE_DOCS";

const BEGIN: &str = "<!-- BEGIN_TF_DOCS -->";
const END: &str = "<!-- END_TF_DOCS -->";

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

/// Returns the text of an input's type as the file has it, with its line breaks.
fn kind(text: &str, input: &str) -> String {
    let block = text.split_once(&format!("variable \"{input}\" {{\n")).expect("the file has the input").1;
    let start = block.lines().position(|line| line.trim_start().starts_with("type ")).expect("an input has a type");
    let mut kind = String::new();
    for line in block.lines().skip(start) {
        let line =
            if kind.is_empty() { line.split_once('=').expect("an attribute has a value").1.trim() } else { line };
        kind.push_str(line);
        if kind.matches('(').count() == kind.matches(')').count() {
            break;
        }
        kind.push('\n');
    }
    kind
}

/// Returns code in a cell of a table.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|");
    if text.contains('\n') { format!("<pre>{}</pre>", text.replace('\n', "<br/>")) } else { format!("`{text}`") }
}

/// Returns a default as JSON with sorted keys, in lines of its own where it has several.
fn default(of: &Expression) -> String {
    let value: Value =
        hcl::from_str::<Value>(&format!("value = {}", hcl::format::to_string(of).expect("it can be written")))
            .expect("a default is a constant")["value"]
            .clone();
    serde_json::to_string_pretty(&value).expect("a value can be written")
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

fn section<const N: usize>(title: &str, header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    // Required, the one column that is centred.
    let rule = header.map(|name| if name == "Required" { ":------:".to_owned() } else { "-".repeat(name.len()) });
    let rows = rows.into_iter().map(|row| format!("| {} |", row.join(" | ")));
    let lines = [format!("## {title}\n"), format!("| {} |", header.join(" | ")), format!("| {} |", rule.join(" | "))];
    lines.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

fn requirements(folder: &Path) -> String {
    let text = |expression: &Expression| match expression {
        Expression::String(text) => text.clone(),
        other => panic!("{other:?} is no version"),
    };
    let terraform = blocks(folder, "versions.tf", "terraform").remove(0);
    let version = attribute(&terraform, "required_version").expect("the module requires a version of terraform");
    let mut rows = vec![["terraform".to_owned(), text(version)]];
    let providers = terraform.body().blocks().find(|block| block.identifier() == "required_providers");
    for provider in providers.expect("the module requires providers").body().attributes() {
        let Expression::Object(requirement) = provider.expr() else { panic!("{provider:?} is no object") };
        let version = requirement.iter().find(|(key, _)| key.to_string() == "version");
        rows.push([provider.key().to_owned(), text(version.expect("the module requires a version").1)]);
    }
    section("Requirements", ["Name", "Version"], rows)
}

fn inputs(folder: &Path) -> String {
    let text = read(&folder.join("variables.tf"));
    let row = |block: &Block| {
        let default = attribute(block, "default").map(default);
        let required = if default.is_none() { "yes" } else { "no" };
        let default = default.map_or_else(|| "n/a".to_owned(), |default| code(&default));
        [name(block).to_owned(), description(block), code(&kind(&text, name(block))), default, required.to_owned()]
    };
    let header = ["Name", "Description", "Type", "Default", "Required"];
    section("Inputs", header, blocks(folder, "variables.tf", "variable").iter().map(row))
}

fn outputs(folder: &Path) -> String {
    let row = |block: &Block| [name(block).to_owned(), description(block)];
    section("Outputs", ["Name", "Description"], blocks(folder, "outputs.tf", "output").iter().map(row))
}

/// Returns a README with another text between the markers.
fn with_tables(readme: &str, tables: &str) -> String {
    let (before, rest) = readme.split_once(BEGIN).expect("the README has the marker of the beginning");
    let (_, after) = rest.split_once(END).expect("the README has the marker of the end");
    format!("{before}{BEGIN}\n{tables}\n{END}{after}")
}

#[test]
fn each_modules_readme_lists_its_requirements_inputs_and_outputs() {
    let modules = folders().into_iter().filter(|folder| folder.starts_with("modules") && folder.iter().count() == 2);
    for module in modules {
        let folder = root().join(&module);
        let path = folder.join("README.md");
        let readme = read(&path);
        let tables = [requirements(&folder), inputs(&folder), outputs(&folder)].join("\n\n");
        let expected = with_tables(&readme, &tables);
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

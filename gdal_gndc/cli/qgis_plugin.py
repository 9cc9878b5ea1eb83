"""``gndc qgis-plugin``: the plugin for QGIS, as a zip."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group("qgis-plugin", epilog="Example: gndc qgis-plugin build")
def command() -> None:
    """The plugin for QGIS: a slider over a cube's times, and the series of a pixel at a click."""


@command.command("build", epilog="Example: gndc qgis-plugin build -o gndc_qgis.zip")
@click.option("-o", "--output", default="gndc_qgis.zip", show_default=True, metavar="ZIP", help="The file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def build(output: str, as_json: bool) -> None:
    """Make the zip that QGIS installs: Plugins, Manage and Install Plugins, Install from ZIP."""
    from gdal_gndc.qgis.plugin import build_plugin

    path = build_plugin(Path(output))
    click.echo(json.dumps({"path": str(path)}) if as_json else f"{path}: in QGIS, Plugins, Install from ZIP")

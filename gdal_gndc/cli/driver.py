"""``gndc driver``: build, find and remove the GDAL driver."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from gdal_gndc.driver import install as driver

_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_SYSTEM = click.option("--system", is_flag=True, help="Use GDAL's own plugin folder, for all users.")
_FOLDER = click.Path(file_okay=False, path_type=Path)
_PREFIX = click.option("--prefix", type=_FOLDER, help="Use this folder instead of the user's.")


@click.group("driver")
def command() -> None:
    """Build and find the GDAL driver, which makes .gndc files rasters of every GDAL program."""


@command.command("install")
@_SYSTEM
@_PREFIX
@click.option("--wheel", is_flag=True, help="For the GDAL inside rasterio's wheel; needs --include.")
@click.option("--include", type=_FOLDER, metavar="FOLDER", help="Headers of the wheel's GDAL.")
@_JSON
def install(system: bool, prefix: Path | None, wheel: bool, include: Path | None, as_json: bool) -> None:
    """Compile the driver against this machine's GDAL and install it."""
    if wheel != (include is not None) or (wheel and (system or prefix)):
        raise click.UsageError("--wheel goes with --include, and without --system and --prefix")
    if include is not None:
        from gdal_gndc.driver.wheel import install_for_wheel

        path = install_for_wheel(include)
    else:
        path = driver.install(prefix, system)
    if as_json:
        click.echo(json.dumps({"path": str(path), "system": system}))
        return
    click.echo(f"installed {path}")
    if wheel:
        click.echo("to use it: gdal_gndc.driver.wheel.load_driver() before rasterio.open")
    elif prefix is not None:
        folders = driver.environment(prefix)["GDAL_DRIVER_PATH"]
        click.echo(f"to use it: export GDAL_DRIVER_PATH={shlex.quote(folders)}")
    elif not system:
        click.echo('to use it: eval "$(gndc driver env)"')


@command.command("path")
@_JSON
def path(as_json: bool) -> None:
    """Print where the driver is installed."""
    if as_json:
        builds = {build.parent.name: str(build) for build in driver.installed()}
        click.echo(json.dumps({"folder": str(driver.plugin_folder()), "builds": builds}))
        return
    click.echo(str(driver.driver_path()))


@command.command("env")
@click.option("--vrt", is_flag=True, help="Also what programs that are not Python need for VRTs: PYTHONPATH.")
@_JSON
def env(vrt: bool, as_json: bool) -> None:
    """Print the lines that let GDAL programs find the driver: eval "$(gndc driver env)"."""
    if not vrt:  # VRTs need no driver
        driver.driver_path()
    variables = driver.environment(vrt=vrt)
    if as_json:
        click.echo(json.dumps(variables))
        return
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


@command.command("uninstall")
@_SYSTEM
@_PREFIX
@_JSON
def uninstall(system: bool, prefix: Path | None, as_json: bool) -> None:
    """Remove the driver."""
    removed = driver.uninstall(prefix, system)
    if as_json:
        click.echo(json.dumps({"removed": [str(path) for path in removed]}))
        return
    for path in removed:
        click.echo(f"removed {path}")
    if not removed:
        click.echo("nothing to remove: the driver is not installed")


@command.command("doctor")
@_JSON
def doctor(as_json: bool) -> None:
    """Say which GDAL programs of this machine load the driver, and what to type where they do not."""
    from gdal_gndc.driver.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in findings], indent=1))
        return
    if not findings:
        click.echo("no GDAL programs found: apt-get install gdal-bin")
    for finding in findings:
        state = "loads the driver" if finding.loads else "does not load the driver"
        click.echo(f"{finding.program}, GDAL {finding.gdal or 'unknown'}: {state}")
        if finding.advice:
            click.echo(f"  {finding.advice}")

"""ComfyUI's graphs: what is wrong with one, and which files its output nodes make."""

from __future__ import annotations

import io
import json
import struct
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.world import UNKNOWN_NAME


@dataclass(frozen=True)
class Kind:
    """What an output node makes: in which list it stands, as what file, in which folder."""

    list_name: str
    format: str
    folder: str = "output"


#: Output nodes by class; any other node is at work inside of a graph.
KINDS = {
    "SaveImage": Kind("images", "png"),
    "PreviewImage": Kind("images", "png", "temp"),
    "SaveAnimatedWEBP": Kind("images", "webp"),
    "SaveVideo": Kind("images", "mp4"),
    "VHS_VideoCombine": Kind("gifs", "mp4"),
    "SaveAudio": Kind("audio", "wav"),
    "SaveGLB": Kind("3d", "glb"),
    "PreviewAny": Kind("text", ""),
}

CONTENT_TYPES = {"wav": "audio/wav", "glb": "model/gltf-binary"}

Graph = Mapping[str, Any]


def refusal_of(graph: Any) -> tuple[str, str, str] | None:
    """Type, message and details of what makes a whole graph unusable."""
    if not isinstance(graph, dict):
        return "no_prompt", "No prompt provided", "No prompt provided"
    for node_id, node in graph.items():
        kind = node.get("class_type") if isinstance(node, dict) else None
        if not isinstance(kind, str):
            message = "Cannot execute because a node is missing the class_type property."
            return "invalid_prompt", message, f"Node ID '#{node_id}'"
        if kind.startswith("NoSuch"):
            return "invalid_prompt", f"Cannot execute because node {kind} does not exist.", f"Node ID '#{node_id}'"
    if not outputs_of(graph):
        return "prompt_no_outputs", "Prompt has no outputs", ""
    return None


def outputs_of(graph: Graph) -> list[str]:
    """The ids of its output nodes."""
    return [node_id for node_id, node in graph.items() if node["class_type"] in KINDS]


def complaints(graph: Graph) -> dict[str, Any]:
    """What is wrong with single nodes: a model that is not there, or an output that gets nothing."""
    return {node_id: _complaint(node, error) for node_id, node in graph.items() if (error := _error(node))}


def complaint_about(graph: Graph, node_id: str) -> dict[str, Any]:
    """A node's inputs as if they were missing."""
    return {node_id: _complaint(graph[node_id], _missing("images"))}


def _error(node: Mapping[str, Any]) -> dict[str, Any] | None:
    inputs = node.get("inputs") or {}
    for name, value in inputs.items():
        if isinstance(value, str) and value.startswith(UNKNOWN_NAME):
            details = f"{name}: '{value}' not in []"
            return {"type": "value_not_in_list", "message": "Value not in list", "details": details, "extra_info": {}}
    return _missing("images") if node["class_type"] in KINDS and not inputs else None


def _missing(name: str) -> dict[str, Any]:
    message = "Required input is missing"
    return {"type": "required_input_missing", "message": message, "details": name, "extra_info": {"input_name": name}}


def _complaint(node: Mapping[str, Any], error: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"errors": [error], "dependent_outputs": [], "class_type": node["class_type"]}


def text_of(graph: Graph) -> str:
    """The first text that a graph draws from."""
    texts = (node.get("inputs", {}).get("text") for node in graph.values() if isinstance(node, dict))
    return next((text for text in texts if isinstance(text, str)), "")


def outputs(job_id: str, graph: Graph, kept: list[str]) -> dict[str, dict[str, Any]]:
    """The outputs of a run, by node."""
    made: dict[str, dict[str, Any]] = {}
    for number, node_id in enumerate(kept, start=1):
        kind = KINDS[graph[node_id]["class_type"]]
        if not kind.format:
            made[node_id] = {kind.list_name: [text_of(graph)]}
            continue
        name = f"{job_id}_{number:05}_.{kind.format}"
        made[node_id] = {kind.list_name: [{"filename": name, "subfolder": "", "type": kind.folder}]}
        if kind.format in ("webp", "mp4"):
            made[node_id]["animated"] = [True]
    return made


def sound() -> bytes:
    """Half a second of a low tone, as WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", (number * 400) % 8000 - 4000) for number in range(4000)))
    return out.getvalue()


def body() -> bytes:
    """A scene with nothing in it, as binary glTF 2.0."""
    text = json.dumps({"asset": {"version": "2.0"}, "scenes": [{"nodes": []}], "scene": 0}).encode()
    text += b" " * (-len(text) % 4)
    chunk = struct.pack("<I4s", len(text), b"JSON") + text
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunk)) + chunk

"""What packed records have in common, by which they are compressed.

`DICTIONARY` never changes: a record can be read with the dictionary alone that it was packed with. Another dictionary
needs another letter (`bide.ledger.packed.FORM`), and this one stays for as long as records live. All of it is invented;
what stands nearer to the end is cheaper to point at.
"""

from __future__ import annotations

#: Between two fields of a record, and between a field's name and its value.
FIELD, VALUE = "\x1e", "\x1f"

#: What stands for the job's id, and for the provider's, which the reader knows.
JOB, PROVIDER_JOB = "\x03", "\x04"

#: What stands for a SHA-256 in hexadecimal digits, and around the address of an output.
DIGEST, ADDRESS = "\x05", "\x06"

#: What stands for how a result begins, and a request; and before milliseconds since the job was opened.
RESULT_HEAD, REQUEST_HEAD, SINCE = "\x07", "\x08", "\x0e"

_PROMPTS = (
    " in the style of, digital art, illustration, concept art, watercolor painting, oil painting on canvas, pe"
    "ncil sketch, vector logo, flat design, minimalist, pastel colors, vibrant colors, black and white, close-"
    "up portrait of a young woman, an old man with a beard, wearing a hat, smiling, looking at the camera, sta"
    "nding in front of the house, sitting on a chair by the window, a cat and a dog, a bird on a branch, a hor"
    "se running along the beach, mountains and a lake at sunrise, at sunset, at night, in the rain, in the sno"
    "w, in the forest, in the garden with flowers, on a wooden table, on a white background, city street, a ca"
    "r, interior of a modern kitchen, living room, product photo of a bottle, photograph of shoes, studio ligh"
    "ting, soft light, dramatic lighting, cinematic, golden hour, natural light, shallow depth of field, bokeh"
    ", wide angle, macro, aerial view, 35mm film, film grain, photorealistic, ultra realistic, highly detailed"
    ", sharp focus, intricate, 4k, 8k, HDR, masterpiece, best quality, no text, without people, blurry, low qu"
    "ality, watermark, deformed, bad anatomy, extra fingers"
)

_PARAMS = (
    '"negative_prompt":","image_url":"https://","image":"s3://uploads/input.jpg","init_image":"https://","stre'
    'ngth":0.,"samples":"1","num_inference_steps":30,"guidance_scale":7.5,"scheduler":","model_id":","num_imag'
    'es":1,"image_size":"landscape_4_3","output_format":"jpeg","safety_tolerance":2,"version":","model":"black'
    '-forest-labs/flux","input":{"prompt":","workflow":{"aspect_ratio":"16:9","duration":5,"resolution":"720p"'
    ',"seconds":"8","size":"1280x720","imageID":","referenceImageURLs":["https://","options":{"numVideos":1,"n'
    'umImages":4,"aspectRatio":"1:1","width":1024,"height":768,"steps":28,"seed":42},"inputs":{"image":"s3://"'
    '},"account":"main","priority":"bulk","output_prefix":","callback_url":"https://,"idempotency_key":","dead'
    'line_seconds":3600.0,"on_unknown":"resubmit","metadata":{"user_id":","customer":","tenant":","project":",'
    '"order_id":","campaign":","source":","trace":","content_type":"video/mp4","width":null,"height":null,"rol'
    'e":"video","warnings":["params.: is not known to bide"],"cost":{"amount":"0.025","unit":"USD"},"partial":'
    '"'
)

#: Provider, operation, lane and base URL of samples.
_PROVIDERS = (
    ("comfyui", "prompt", "", "http://127.0.0.1:8188"),
    ("cyberphotobooth", "generate", "", "https://api.cyberphotobooth.ru/api"),
    ("openai_videos", "create", "sora-2", "https://api.openai.com/v1"),
    ("nextry", "generate_image", "", "https://api.nextry."),
    ("dreambooth", "text2img", "", "https://stablediffusionapi.com/api/v4"),
    ("bfl", "flux-2-pro", "", "https://api.bfl.ai"),
    ("fal", "run", "fal-ai/flux/dev", "https://queue.fal.run"),
    ("replicate", "predict", "black-forest-labs/flux-schnell", "https://api.replicate.com/v1"),
    ("photogpt", "images.generation", "m1", "https://developer.photogptai.com/api"),
)

_LOGS = (
    "2.1 0.1 IN_QUEUE;5.2 0.2 IN_PROGRESS;9.7 0.1 ;16.5 0.0 ;26.4 0.3 COMPLETED;",
    "2.4 0.0 pending;5.8 0.3 running;10.3 0.2 ;17.1 0.0 ;27.2 0.1 Ready;",
    "2.6 0.1 starting;5.6 0.2 processing;10.1 0.3 ;16.9 0.1 ;27.0 0.2 ;42.2 0.0 ;52.3 0.1 succeeded;",
)

_ERRORS = (
    '{"code":"rejected","message":"the provider refused the request: HTTP 422: ","job_id":"\x03","provider":"bfl",'
    '"provider_job_id":null,"retryable":true}',
    '{"code":"moderated","message":"the provider reports: NSFW content detected","job_id":"\x03","provider":"fal",'
    '"provider_job_id":"\x04","retryable":false,"cause":"content","charged":"no"}',
)


def joined(fields: dict[str, str]) -> str:
    """Fields as one text."""
    return FIELD.join(f"{name}{VALUE}{value}" for name, value in fields.items())


def _record(number: int, provider: str, operation: str, lane: str, base_url: str) -> str:
    """A finished record as one text."""
    end = f'"metadata":{{"order_id":"A-{number}"}}}}'
    outputs = ",".join(_output(number, place, ("png", "jpeg", "webp")[number % 3]) for place in range(2))
    fields = {
        "op": operation,
        "lane": lane,
        "created": f"178{number}123456.7{number}8",
        "deadline": f"{SINCE}1800000",
        "allowed": "1800.0",
        "submits": "1",
        "intended": f"{SINCE}4{number}",
        "submitted": f"{SINCE}8{number}3",
        "base_url": base_url,
        "adapter": f"{provider} 1",
        "polls": f"{number}",
        "cost": "0.025 USD",
        "ended": f"{SINCE}3{number}271",
        "finished": f"{SINCE}3{number}942",
        "note": "succeeded",
        "poll_log": _LOGS[number % 3],
        "request": f'{REQUEST_HEAD}"params":{{"prompt":"","seed":{number}}},{end}',
        "result": f'{RESULT_HEAD}2026-08-1{number}T1{number}:2{number}:3{number}.4{number}6000Z",'
        f'"finished_at":"2026-08-1{number}T1{number}:2{number}:5{number}.{number}35791Z","outputs":[{outputs}],{end}',
    }
    return joined(fields)


def _output(number: int, place: int, kind: str) -> str:
    width, height = ((1024, 768), (1536, 1024), (1280, 720), (512, 512))[number % 4]
    return (
        f'{{{ADDRESS}results/2026/08/1{number}/{JOB}/{place}.{kind}{ADDRESS},"content_type":"image/{kind}",'
        f'"size":{1234567 + number * 98765},"sha256":"{DIGEST}","width":{width},"height":{height},"role":"image"}}'
    )


DICTIONARY = FIELD.join(
    (
        _PROMPTS,
        _PARAMS,
        *(joined({"error": error, "note": "failed"}) for error in _ERRORS),
        *(_record(number, *each) for number, each in enumerate(_PROVIDERS)),
    )
).encode()

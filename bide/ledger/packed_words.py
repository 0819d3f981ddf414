"""What packed records have in common, by which they are compressed: `DICTIONARY` is never changed, only added to.

A record that was packed with one dictionary can be read with that one alone. So another dictionary gets another letter, and
the old one stays for as long as records live. The samples are invented; the closer one stands to the end, the cheaper it is
to point at.
"""

from __future__ import annotations

#: Between two fields of a record, and between a field's name and its value.
FIELD, VALUE = "\x1e", "\x1f"

#: What stands for the job's id, and for the provider's, which the reader knows.
JOB, PROVIDER_JOB = "\x03", "\x04"

_PROMPTS = """\
 in the style of, digital art, illustration, concept art, watercolor painting, oil painting on canvas, pencil sketch, vector \
logo, flat design, minimalist, pastel colors, vibrant colors, black and white, close-up portrait of a young woman, an old man \
with a beard, wearing a hat, smiling, looking at the camera, standing in front of the house, sitting on a chair by the window, \
a cat and a dog, a bird on a branch, a horse running along the beach, mountains and a lake at sunrise, at sunset, at night, in \
the rain, in the snow, in the forest, in the garden with flowers, on a wooden table, on a white background, city street, a car, \
interior of a modern kitchen, living room, product photo of a bottle, photograph of shoes, studio lighting, soft light, dramatic \
lighting, cinematic, golden hour, natural light, shallow depth of field, bokeh, wide angle, macro, aerial view, 35mm film, film \
grain, photorealistic, ultra realistic, highly detailed, sharp focus, intricate, 4k, 8k, HDR, masterpiece, best quality, no text, \
without people, blurry, low quality, watermark, deformed, bad anatomy, extra fingers"""

_PARAMS = """\
"negative_prompt":","image_url":"https://","image":"s3://uploads/input.jpg","init_image":"https://","strength":0.,"samples":"1",\
"num_inference_steps":30,"guidance_scale":7.5,"scheduler":","model_id":","num_images":1,"image_size":"landscape_4_3",\
"output_format":"jpeg","safety_tolerance":2,"version":","model":"black-forest-labs/flux","input":{"prompt":","workflow":{"\
"aspect_ratio":"16:9","duration":5,"resolution":"720p","seconds":"8","size":"1280x720","imageID":","referenceImageURLs":[\
"https://","options":{"numVideos":1,"numImages":4,"aspectRatio":"1:1","width":1024,"height":768,"steps":28,"seed":42}\
"inputs":{"image":"s3://"},"account":"main","priority":"bulk","output_prefix":","callback_url":"https://,"idempotency_key":"\
"deadline_seconds":3600.0,"on_unknown":"resubmit"\
"metadata":{"user_id":","customer":","tenant":","project":","order_id":","campaign":","source":","trace":","""

_SAMPLES = (
    {
        "op": "run",
        "lane": "fal-ai/flux/dev",
        "created": "1764.5",
        "deadline": "1764.5",
        "allowed": "1800.0",
        "bulk": "1",
        "tries": "1",
        "submits": "1",
        "intended": "1764.5",
        "submitted": "1764.5",
        "base_url": "https://queue.fal.run",
        "adapter": "fal 1",
        "contract": "client_id",
        "submit_key": "",
        "cost": "0.025 USD",
        "error": '{"code":"moderated","message":"the provider refused the request: HTTP 422: NSFW content detected",'
        '"job_id":"","provider":"fal","provider_job_id":null,"retryable":false,"cause":"content","charged":"no"}',
        "note": "IN_QUEUE",
        "request": '{"provider":"fal","operation":"run","params":{"model":"fal-ai/flux/dev","prompt":"',
        "result": '{"job_id":"\x03","state":"succeeded","provider":"fal","operation":"run","provider_job_id":"\x04",'
        '"polls":4,"outputs":[{"uri":"s3://results/2026/12/\x03/0.mp4","bucket":"results","key":"2026/12/\x03/0.mp4",'
        '"content_type":"video/mp4","size":5242880,"sha256":"","width":1280,"height":720,"role":"video"},'
        '"content_type":"image/webp","content_type":"image/jpeg","size":98765,"sha256":"","width":null,"height":null,'
        '"role":"image"}],"warnings":["params.: is not known to bide"],"cost":{"amount":"0.025","unit":"USD"},"partial":"',
    },
    {
        "op": "images.generation",
        "lane": "m1",
        "created": "1765.1",
        "deadline": "1765.9",
        "allowed": "1800.0",
        "tries": "1",
        "submits": "1",
        "intended": "1765.2",
        "submitted": "1765.3",
        "base_url": "https://developer.photogptai.com/api",
        "adapter": "photogpt 1",
        "polls": "3",
        "estimate": "20.0",
        "called_at": "1765.7",
        "calls": "1",
        "ended": "1765.8",
        "finished": "1765.0",
        "note": "succeeded",
        "poll_log": "2.3 0.1 running;5.4 0.2 ;9.8 0.1 ;16.2 0.1 ;26.1 0.1 processing;36.2 0.1 starting;46.3 0.2 succeeded;",
        "request": '{"provider":"photogpt","operation":"images.generation","params":{"modelID":"m1","prompt":"a photo of '
        'the","numImages":2,"aspectRatio":"3:2","seed":7},"metadata":{"order":"',
        "result": '{"job_id":"\x03","state":"succeeded","provider":"photogpt","operation":"images.generation",'
        '"provider_job_id":"\x04","polls":3,"submitted_at":"2026-12-01T10:11:12.345000Z",'
        '"finished_at":"2026-12-01T10:11:42.678901Z","outputs":[{"uri":"s3://bide-results/2026/12/01/\x03/0.png",'
        '"bucket":"bide-results","key":"2026/12/01/\x03/0.png","content_type":"image/png","size":1234567,'
        '"sha256":"0123456789abcdef","width":1536,"height":1024,"role":"image"},{"uri":"s3://bide-results/2026/12/01/'
        '\x03/1.png","bucket":"bide-results","key":"2026/12/01/\x03/1.png","content_type":"image/png","size":987654,'
        '"sha256":"fedcba9876543210","width":1024,"height":1024,"role":"image"}],"metadata":{"order":"',
    },
)


def joined(fields: dict[str, str]) -> str:
    """Fields as one text."""
    return FIELD.join(f"{name}{VALUE}{value}" for name, value in fields.items())


DICTIONARY = FIELD.join([_PROMPTS, _PARAMS, *map(joined, _SAMPLES)]).encode()

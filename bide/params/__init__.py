"""What each operation takes, typed, for the editor and for `Client.submit`.

    from bide.params import photogpt
    client.submit(photogpt.ImagesGeneration(modelID="m1", prompt="a red fox"))

Fields are spelled as the provider spells them; those not declared here pass to the provider as they are.
"""

from bide.params.base import Params

__all__ = ["Params"]

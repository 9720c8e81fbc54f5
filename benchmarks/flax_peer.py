"""The peer of `benchmarks/update.py`: one gradient step of contrastive RL in Flax and Optax, jitted as a whole, fp32.

Written by us from the method's description, with the idioms of the field: linen modules, `value_and_grad`, one `jit`
with donated buffers, three Adams. The goal embedding of the old parameters occurs twice in one program, so XLA may
share it between actor and critic as ours does. Pairwise distances come from a matrix product, which is faster here than
the [B, B, D] differences of the released code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class ResidualMLP(nn.Module):
    """Maps [B, in] to [B, out_dim] as the paper's network does."""

    out_dim: int
    depth: int
    width: int = 256

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Stem, depth / 4 residual blocks, head."""

        def layer(h: jax.Array) -> jax.Array:
            return nn.swish(nn.LayerNorm()(nn.Dense(self.width, kernel_init=_INIT)(h)))

        x = layer(x)
        for _ in range(self.depth // 4):
            h = x
            for _ in range(4):
                h = layer(h)
            x = x + h
        return nn.Dense(self.out_dim, kernel_init=_INIT)(x)


def make_step(
    depth: int, width: int, batch: dict[str, np.ndarray], learning_rate: float = 3e-4
) -> Callable[[], dict[str, Any]]:
    """Returns a function that takes one gradient step on `batch` (state [B, S], action [B, A], goal [B, G]).

    It returns once the new parameters are computed. The first call compiles.
    """
    action_dim = batch["action"].shape[1]
    nets: list[Any] = [ResidualMLP(n, depth, width) for n in (2 * action_dim, 64, 64)]
    actor, phi, psi = nets
    data = {name: jnp.asarray(value) for name, value in batch.items()}
    keys = jax.random.split(jax.random.key(0), 4)
    state_action = jnp.concatenate([data["state"], data["action"]], -1)
    state_goal = jnp.concatenate([data["state"], data["goal"]], -1)
    params = {
        "actor": actor.init(keys[0], state_goal),
        "critic": {"phi": phi.init(keys[1], state_action), "psi": psi.init(keys[2], data["goal"])},
        "log_alpha": jnp.zeros(()),
    }
    adam = optax.adam(learning_rate)
    opt = {name: adam.init(value) for name, value in params.items()}

    def energy(a: jax.Array, b: jax.Array) -> jax.Array:
        return -jnp.sqrt(jnp.sum((a - b) ** 2, -1) + 1e-6)

    def actor_loss(p: Any, critic: Any, log_alpha: jax.Array, data: dict[str, jax.Array], key: jax.Array) -> Any:
        mean, log_std = jnp.split(actor.apply(p, jnp.concatenate([data["state"], data["goal"]], -1)), 2, -1)
        log_std = -5 + 3.5 * (jnp.tanh(log_std) + 1)
        noise = jax.random.normal(key, mean.shape)
        action = jnp.tanh(mean + jnp.exp(log_std) * noise)
        log_prob = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi) - jnp.log(1 - action**2 + 1e-6)
        log_prob = log_prob.sum(-1)
        sa = phi.apply(critic["phi"], jnp.concatenate([data["state"], action], -1))
        q = energy(sa, psi.apply(critic["psi"], data["goal"]))
        return jnp.mean(jnp.exp(log_alpha) * log_prob - q), log_prob

    def alpha_loss(log_alpha: jax.Array, log_prob: jax.Array) -> jax.Array:
        return jnp.mean(jnp.exp(log_alpha) * jax.lax.stop_gradient(-log_prob + 0.5 * action_dim))

    def critic_loss(p: Any, data: dict[str, jax.Array]) -> jax.Array:
        sa = phi.apply(p["phi"], jnp.concatenate([data["state"], data["action"]], -1))
        g = psi.apply(p["psi"], data["goal"])
        squared = (sa**2).sum(-1)[:, None] + (g**2).sum(-1) - 2 * sa @ g.T
        logits = -jnp.sqrt(jnp.maximum(squared, 0) + 1e-6)
        log_z = jax.nn.logsumexp(logits, 1)
        return -jnp.mean(jnp.diag(logits) - log_z) + 0.1 * jnp.mean(log_z**2)

    def step(params: Any, opt: Any, data: dict[str, jax.Array], key: jax.Array) -> Any:
        key, draw = jax.random.split(key)
        old = params["critic"], params["log_alpha"]
        (j, log_prob), g_actor = jax.value_and_grad(actor_loss, has_aux=True)(params["actor"], *old, data, draw)
        g_alpha = jax.grad(alpha_loss)(params["log_alpha"], log_prob)
        c, g_critic = jax.value_and_grad(critic_loss)(params["critic"], data)
        new, new_opt = {}, {}
        for name, grad in (("actor", g_actor), ("log_alpha", g_alpha), ("critic", g_critic)):
            updates, new_opt[name] = adam.update(grad, opt[name])
            new[name] = optax.apply_updates(params[name], updates)
        return new, new_opt, key, {"actor_loss": j, "critic_loss": c}

    jitted = jax.jit(step, donate_argnums=(0, 1))
    carry = [params, opt, keys[3]]

    def call() -> dict[str, Any]:
        *carry[:], metrics = jitted(carry[0], carry[1], data, carry[2])
        return jax.block_until_ready((carry, metrics))[1]

    return call

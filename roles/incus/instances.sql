SELECT instances.name, projects.name, nodes.name,
    COALESCE((SELECT value FROM instances_config
        WHERE instance_id = instances.id AND key = 'volatile.last_state.power'), ''),
    COALESCE((SELECT group_concat(DISTINCT value) FROM (
        SELECT config.value AS value FROM instances_devices AS device
            JOIN instances_devices_config AS config ON config.instance_device_id = device.id
            WHERE device.instance_id = instances.id AND config.key = 'pool'
        UNION SELECT config.value FROM instances_profiles AS used
            JOIN profiles_devices AS device ON device.profile_id = used.profile_id
            JOIN profiles_devices_config AS config ON config.profile_device_id = device.id
            WHERE used.instance_id = instances.id AND config.key = 'pool'
            AND device.name NOT IN (SELECT name FROM instances_devices WHERE instance_id = instances.id))), '')
FROM instances JOIN projects ON projects.id = instances.project_id JOIN nodes ON nodes.id = instances.node_id
ORDER BY instances.id
